"""Events posted to a real HTTP server: signed, in order, again after failures, and never past a redirect."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from streammon.backoff import Backoff
from streammon.deliver.dead_letters import DeadLetters
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.jsonl import JsonlSink
from streammon.deliver.outbox import Outbox
from streammon.deliver.sinks import Refusal
from streammon.deliver.webhook import Clocks, Receiver, WebhookSink
from streammon.errors import DeliveryError
from tests.integration.test_http_tls import Authority
from tests.unit.spooling import envelope

FLUSH_S = 30.0
SECRET = "geheim"  # noqa: S105 - of these tests


@dataclass
class Hook:
    """A receiver: what it got, and what it answers, status and headers; 204 when the list is used up."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    body: bytes = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=geheim"

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, body in self.got]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hook: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.hook.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        status, headers = self.hook.answers.pop(0) if self.hook.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(self.hook.body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(self.hook.body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def served(hook: Hook, tls: Any = None) -> Iterator[Hook]:
    handler = type("Handler", (_Handler,), {"hook": hook})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        hook.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hook
        server.shutdown()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def hook() -> Iterator[Hook]:
    yield from served(Hook())


def test_a_request_is_one_signed_cloud_event(hook: Hook) -> None:
    clocks = Clocks(utc_s=lambda: 1795418100.9)
    with closing(WebhookSink(Receiver(url=hook.url, secret=SECRET), clocks=clocks)) as sink:
        assert sink.send([envelope(1), envelope(2)]) == 1

    ((headers, body),) = hook.got
    assert headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert headers["idempotency-key"] == "incident%3A1"
    assert body == envelope(1).structured()
    mac = hmac.new(SECRET.encode(), b"1795418100." + body, hashlib.sha256).hexdigest()
    assert headers["streammon-signature"] == f"t=1795418100,v1={mac}"


def test_a_batch_is_one_request(hook: Hook) -> None:
    with closing(WebhookSink(Receiver(url=hook.url, batch=3))) as sink:
        assert sink.send([envelope(number) for number in range(5)]) == 3

    ((headers, body),) = hook.got
    assert headers["content-type"] == "application/cloudevents-batch+json; charset=UTF-8"
    assert [event["id"] for event in json.loads(body)] == ["incident:0", "incident:1", "incident:2"]
    assert not {"idempotency-key", "streammon-signature"} & headers.keys()


@pytest.mark.parametrize("status", [400, 410, 413, 422])
def test_a_client_error_is_a_refusal(hook: Hook, status: int) -> None:
    hook.answers = [(status, {})]
    with closing(WebhookSink(Receiver(url=hook.url))) as sink:
        assert sink.send([envelope(1)]) == Refusal(reason=f"HTTP status {status}")


def test_of_a_refused_batch_the_first_is_asked_about_alone(hook: Hook) -> None:
    hook.answers = [(400, {}), (204, {}), (400, {}), (400, {})]
    with closing(WebhookSink(Receiver(url=hook.url, batch=3))) as sink:
        assert sink.send([envelope(1), envelope(2)]) == 1
        assert sink.send([envelope(2), envelope(3)]) == Refusal(reason="HTTP status 400")

    asked = [[event["id"][-1] for event in json.loads(body)] for _, body in hook.got]
    assert asked == [["1", "2"], ["1"], ["2", "3"], ["2"]]


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_what_may_pass_is_waited_for(hook: Hook, status: int) -> None:
    hook.answers = [(status, {})]
    with closing(WebhookSink(Receiver(url=hook.url))) as sink:
        with pytest.raises(DeliveryError, match=f"webhook 127.0.0.1: status {status}") as raised:
            sink.send([envelope(1)])
        assert sink.send([envelope(1)]) == 1

    assert len(hook.got) == 2
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_waited_for(hook: Hook, status: int) -> None:
    hook.answers = [(status, {"Location": f"http://127.0.0.1:{hook.port}/elsewhere"})]
    sink = WebhookSink(Receiver(url=hook.url))
    with closing(sink), pytest.raises(DeliveryError, match=f"status {status}, a redirect: name the address"):
        sink.send([envelope(1)])

    assert len(hook.got) == 1


def test_a_pause_that_is_asked_for_is_kept(hook: Hook) -> None:
    now_s = 100.0
    hook.answers = [(429, {"Retry-After": "30"})]
    clocks = Clocks(monotonic_s=lambda: now_s)
    with closing(WebhookSink(Receiver(url=hook.url), clocks=clocks)) as sink:
        with pytest.raises(DeliveryError, match="429"):
            sink.send([envelope(1)])
        now_s = 129.0
        with pytest.raises(DeliveryError, match="asks for a pause, 1 s more"):
            sink.send([envelope(1)])
        assert len(hook.got) == 1
        now_s = 130.0
        assert sink.send([envelope(1)]) == 1


def test_a_receiver_that_does_not_answer_is_given_up_in_time(hook: Hook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/geheim"
        sink = WebhookSink(Receiver(url=url, timeout_s=0.2))
        with closing(sink), pytest.raises(DeliveryError, match=r"webhook 127\.0\.0\.1: ReadTimeout") as raised:
            sink.send([envelope(1)])
    assert "geheim" not in str(raised.value)
    sink = WebhookSink(Receiver(url="http://127.0.0.1:1/"))
    with closing(sink), pytest.raises(DeliveryError, match="ConnectError"):
        sink.send([envelope(1)])


def test_a_long_answer_is_not_read_to_its_end(hook: Hook) -> None:
    hook.body = bytes(5_000_000)
    hook.answers = [(200, {})]
    with closing(WebhookSink(Receiver(url=hook.url))) as sink:
        assert sink.send([envelope(1)]) == 1
        assert sink.send([envelope(2)]) == 1


def test_only_a_certificate_of_the_right_authority_is_believed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    for hook in served(Hook(), context):
        url = hook.url.replace("http:", "https:")
        sink = WebhookSink(Receiver(url=url))
        with closing(sink), pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
            sink.send([envelope(1)])
        with closing(WebhookSink(Receiver(url=url, ca_file=authority.ca_file))) as sink:
            assert sink.send([envelope(1)]) == 1
        assert hook.ids() == ["incident:1"]


def test_everything_arrives_in_order_and_the_refused_lies_beside(hook: Hook, tmp_path: Path) -> None:
    hook.answers = [(204, {}), (503, {}), (204, {}), (400, {}), (204, {})]
    outbox = Outbox(tmp_path / "spool.db")
    outbox.register_sinks(["webhook"])
    graveyard = tmp_path / "dead-letters.jsonl"
    deliverer = Deliverer(
        outbox,
        WebhookSink(Receiver(url=hook.url)),
        dead_letters=DeadLetters(JsonlSink(graveyard)),
        backoff=Backoff(first_s=0.01, cap_s=0.01),
    )
    outbox.commit([envelope(number) for number in range(1, 6)])
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert deliverer.close()
    outbox.close()
    assert hook.ids() == [f"incident:{number}" for number in (1, 2, 2, 3, 4, 5)]
    (letter,) = map(json.loads, graveyard.read_text(encoding="utf-8").splitlines())
    assert letter["type"] == "streammon.dead-letter.v1"
    assert (letter["data"]["event_id"], letter["data"]["reason"]) == ("incident:3", "HTTP status 400")
