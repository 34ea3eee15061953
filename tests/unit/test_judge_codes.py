"""What payloads are for, and which of them a policy's lists of domains allow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.entities import CodeKind
from streammon.judge.codes import allowed, kind_of

PAYLOADS = {
    CodeKind.URL: ["https://example.com/a", "HTTP://EXAMPLE.COM", "ftp://example.com/x", "myapp://open?x=1",
                   "https://nott.me/x", "https://[::1]/x"],
    CodeKind.CONTACT: ["BEGIN:VCARD\r\nVERSION:3.0\r\nN:Li\r\nEND:VCARD", "MECARD:N:Li;TEL:123;;", "tel:+8613800138000",
                       "SMSTO:10086:hi", "mailto:a@example.com", "https://u.wechat.com/abc", "https://t.me/name",
                       "https://qm.qq.com/cgi-bin/qm/qr?k=1", "https://wa.me/8613800138000", "tg://resolve?domain=x",
                       "weixin://dl/chat?abc"],
    CodeKind.PAYMENT: ["wxp://f2f0abc", "weixin://wxpay/bizpayurl?pr=abc", "https://qr.alipay.com/fkx1",
                       "alipays://platformapi/x",
                       "HTTPS://QR.ALIPAY.COM/FKX1", "upi://pay?pa=a@bank",
                       "bitcoin:175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W",
                       "175tWpb8K1S7NmH4Zx6rewF9WQrcZv245W", "0x" + "aB" * 20, "https://wx.tenpay.com/f2f?t=1",
                       "00020101021129300012D156000000000510A93FO3230Q5204581253034445802CN5904BEST6007BEIJING6304A13A"],
    CodeKind.WIFI: ["WIFI:T:WPA;S:net;P:word;;", "wifi:S:x;;"],
    CodeKind.TEXT: ["", "hello", "加微信 abc", "note: buy milk", "000201 is no payment", "0x12", "\x00\x1b[2J",
                    "6304A13A"],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "payload"), [(kind, text) for kind, texts in PAYLOADS.items() for text in texts])
def test_a_payload_has_its_kind(kind: CodeKind, payload: str) -> None:
    assert kind_of(payload) == kind
    assert kind_of(f"  {payload}\n") == kind


@pytest.mark.parametrize(
    ("payload", "is_allowed"),
    [
        ("https://example.com/a", True),
        ("https://shop.example.com/a", True),
        ("https://bad.example.com/a", False),
        ("https://very.bad.example.com/a", False),
        ("https://notbad.example.com/a", True),
        ("https://example.com/?to=https://bad.example.com/", False),
        ("https://example.com/?to=bad.example.com", False),
        ("https://example.com/bad", True),
        ("https://example.net/", False),
        ("https://BAD.example.com./", False),
    ],
)
def test_what_is_denied_is_denied_below_an_allowed_domain_too(payload: str, is_allowed: bool) -> None:
    assert allowed(payload, ("example.com",), ("bad.example.com",)) is is_allowed


def test_a_domain_that_is_allowed_and_denied_is_denied() -> None:
    assert not allowed("https://example.com/", ("example.com",), ("example.com",))


@given(st.text(max_size=300))
def test_any_payload_has_a_kind_and_none_is_allowed_without_a_list(payload: str) -> None:
    assert kind_of(payload) in CodeKind
    assert not allowed(payload, (), ())


@pytest.mark.parametrize("payload", ["000201" * 200_000, "a:" * 500_000, "https://" + "a." * 500_000, "1" * 1_000_000])
def test_a_megabyte_is_classified_in_bounded_time(payload: str) -> None:
    start_s = time.process_time()
    kind_of(payload)
    allowed(payload, ("example.com",), ("bad.example.com",))
    assert time.process_time() - start_s < 5
