"""Signatures can be checked by others, pauses are kept, and nothing of an address but its host is told."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from streammon.deliver.config import WebhookConfig
from streammon.deliver.webhook import Receiver, WebhookSink, _seconds, sign
from streammon.errors import DeliveryError

DOCS = Path(__file__).parents[2] / "docs" / "events.md"


def test_a_signature_is_found_genuine_by_what_the_documentation_says() -> None:
    (example,) = re.findall(r"```python\n(import hashlib.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own documentation
    is_genuine, now_s, body = names["is_genuine"], int(time.time()), b'{"id":"1"}'

    assert is_genuine(sign("geheim", now_s, body), body, "geheim")
    assert not is_genuine(sign("other", now_s, body), body, "geheim")
    assert not is_genuine(sign("geheim", now_s, body), b'{"id":"2"}', "geheim")
    assert not is_genuine(sign("geheim", now_s - 301, body), body, "geheim")
    stale = sign("geheim", now_s - 301, body).partition(",")[2]
    assert not is_genuine(f"t={now_s},{stale}", body, "geheim")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Mon, 23 Nov 2026 07:15:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 07:14:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float) -> None:
    assert _seconds(text, 1795418100.0) == seconds


def test_an_address_is_told_by_its_host_alone(tmp_path: Path) -> None:
    receiver = Receiver(url="https://hooks.example/T0/geheim?token=geheim", secret="x" * 9, ca_file=tmp_path / "no.pem")

    assert repr(receiver) == "Receiver(hooks.example)"
    with pytest.raises(DeliveryError, match=r"hooks\.example: .*no\.pem cannot be used") as raised:
        WebhookSink(receiver)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [
        {"url": "ftp://hooks.example/"},
        {"url": "https:///nowhere"},
        {"url": "https://user:geheim@hooks.example/"},
        {"url": "https://hooks.example/", "secret": "geheim"},
        {"url": "https://hooks.example/", "batch": 0},
        {"url": "https://hooks.example/", "timeout": "0s"},
    ],
)
def test_what_makes_no_sense_is_a_fault(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebhookConfig.model_validate(given)


def test_the_address_is_not_in_what_is_printed_of_a_configuration() -> None:
    assert "geheim" not in repr(WebhookConfig(url="https://hooks.example/geheim"))
