"""The HTTP port: what each path answers, and that a server comes up, goes away and says why it cannot."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from streammon.errors import StreammonError
from streammon.events import FeedbackAction
from streammon.judge.feedback import Feedback
from streammon.metrics import Metrics
from streammon.serve.app import build_app
from streammon.serve.feedback import feedback_route
from streammon.serve.guard import is_loopback, may_serve
from streammon.serve.server import HttpServer, listen_tcp


@dataclass(slots=True, kw_only=True)
class State:
    """A monitor that is as well as its two lists say."""

    dead: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)

    def not_alive(self) -> list[str]:
        return self.dead

    def not_ready(self) -> list[str]:
        return self.busy


def get(path: str, state: State | None = None, registry: CollectorRegistry | None = None) -> httpx.Response:
    app = build_app(state or State(), registry or CollectorRegistry())

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.fixture
def server() -> Iterator[HttpServer]:
    running = HttpServer(build_app(State(), Metrics(CollectorRegistry()).registry), listen_tcp("127.0.0.1", 0))
    running.start()
    yield running
    running.close()


def port_of(server: HttpServer) -> int:
    assert server.port is not None
    return server.port


def http_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "http"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_what_is_well_answers_200(path: str) -> None:
    answer = get(path)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "reasons": []})


@pytest.mark.parametrize(
    ("path", "status", "reasons"),
    [("/livez", 503, ["stuck"]), ("/readyz", 503, ["warming up", "no ingest process"])],
)
def test_what_is_not_answers_503_with_its_reasons(path: str, status: int, reasons: list[str]) -> None:
    answer = get(path, State(dead=["stuck"], busy=["warming up", "no ingest process"]))
    assert (answer.status_code, answer.json()) == (status, {"ok": False, "reasons": reasons})


def test_a_monitor_that_is_not_ready_may_be_alive() -> None:
    assert get("/livez", State(busy=["warming up"])).status_code == 200


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/docs"])
def test_nothing_else_is_served(path: str) -> None:
    assert get(path).status_code == 404


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.packets.labels('直播间 "1"\n').inc(3)
    answer = get("/metrics", registry=metrics.registry)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    (packets,) = [sample for sample in samples if sample.name == "streammon_packets_total"]
    assert (packets.labels, packets.value) == ({"room": '直播间 "1"\n'}, 3)


def test_metrics_of_another_process_come_after_ours() -> None:
    registry = Metrics(CollectorRegistry()).registry
    app = build_app(State(), registry, other_metrics=lambda: b"streammon_other 7.0\n")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
            return await client.get("/metrics")

    text = asyncio.run(ask()).text
    assert text.startswith("# HELP streammon_")
    assert text.endswith("\nstreammon_other 7.0\n")


def test_every_metric_is_named_for_us_and_says_what_it_counts() -> None:
    families = list(Metrics(CollectorRegistry()).registry.collect())
    assert families
    for family in families:
        assert family.name.startswith("streammon_")
        assert family.documentation.endswith(".")


def test_it_answers_on_a_real_socket(server: HttpServer) -> None:
    assert httpx.get(f"http://127.0.0.1:{server.port}/livez", trust_env=False).json() == {"ok": True, "reasons": []}
    assert "streammon_mailbox_frames 0.0" in httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False).text


def test_a_busy_port_is_an_error_that_names_the_cure(server: HttpServer) -> None:
    with pytest.raises(StreammonError, match=rf"cannot listen on 127\.0\.0\.1:{server.port}: .*set `http` to a free"):
        listen_tcp("127.0.0.1", port_of(server))


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(StreammonError, match=r"cannot listen on 192\.0\.2\.1:0"):
        listen_tcp("192.0.2.1", 0)


def test_closing_frees_the_port_and_ends_the_thread(server: HttpServer) -> None:
    assert http_threads() == ["http"]
    server.close()
    assert http_threads() == []
    socket.create_server(("127.0.0.1", port_of(server))).close()


def test_closing_does_not_wait_for_a_client_that_stays_connected(server: HttpServer) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        client.get("/livez")
        server.close()
        assert http_threads() == []


def test_closing_does_not_wait_for_half_a_request(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", port_of(server))) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
        server.close()
        assert http_threads() == []


def test_it_may_be_closed_twice_and_without_having_started() -> None:
    unused = HttpServer(build_app(State(), CollectorRegistry()), listen_tcp("127.0.0.1", 0))
    unused.close()
    unused.close()
    socket.create_server(("127.0.0.1", port_of(unused))).close()


SAID = b'{"action":"acknowledge","by":"ann","at":"2025-03-04T05:06:07Z","label":"sexy"}'
HEARD = Feedback(
    action=FeedbackAction.ACKNOWLEDGE, room_id="r1", by="ann", at=datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC),
    label="sexy",
)  # fmt: skip
JSON = {b"content-type": b"application/json"}
PATH = "/v1/rooms/r1/feedback"
TOKEN = "s3crét"  # noqa: S105


@dataclass(slots=True, kw_only=True)
class Ears:
    """Two rooms, and what was heard of them; deaf, nothing is taken in."""

    heard: list[Feedback] = field(default_factory=list)
    bad: int = 0
    deaf: bool = False

    def knows(self, room_id: str) -> bool:
        return room_id in {"r1", "a/b 直"}

    def hear(self, feedback: Feedback) -> bool:
        if not self.deaf:
            self.heard.append(feedback)
        return not self.deaf

    def refused(self) -> None:
        self.bad += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The app of these ears, asked as `host`."""

    ears: Ears = field(default_factory=Ears)
    token: str | None = None
    host: str = "127.0.0.1:9464"

    def post(self, body: bytes = SAID, path: str = PATH, **headers: str) -> httpx.Response:
        app = build_app(State(), CollectorRegistry(), [feedback_route(self.ears, self.token)])
        named = {name.replace("_", "-").encode(): text.encode() for name, text in headers.items()}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{self.host}") as client:
                return await client.post(path, content=body, headers={**JSON, **named})

        return asyncio.run(ask())


def test_feedback_is_taken_in() -> None:
    door = Door()
    assert door.post().status_code == 202
    assert door.ears.heard == [HEARD]


def test_a_room_may_have_any_name() -> None:
    door = Door()
    assert door.post(path="/v1/rooms/a%2Fb%20%E7%9B%B4/feedback").status_code == 202
    assert door.ears.heard == [replace(HEARD, room_id="a/b 直")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b"\xff", "feedback is not valid"),
        (b"[" * 60_000, "feedback is not valid"),
        (b'{"x":' + b"[" * 60_000, "recursion"),
        (SAID.replace(b"sexy", b"sexi"), "'sexi' is no label"),
        (SAID.replace(b"{", b'{"room_id":"r1",'), "named by the path"),
        (SAID.replace(b"acknowledge", b"mute"), "`seconds` should be there"),
        (SAID.replace(b"Z", b""), "timezone"),
    ],
)
def test_what_is_not_valid_is_told_with_its_reason(body: bytes, reason: str) -> None:
    door = Door()
    answer = door.post(body)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert (door.ears.heard, door.ears.bad) == ([], 1)


def test_a_room_that_is_not_there_is_told() -> None:
    answer = Door().post(path="/v1/rooms/r2/feedback")
    assert (answer.status_code, answer.json()) == (404, {"error": "no such room"})


def test_too_much_is_refused() -> None:
    door = Door()
    assert door.post(SAID + b" " * (64 << 10)).status_code == 413
    assert door.ears.heard == []


def test_what_cannot_be_taken_in_now_is_told() -> None:
    assert Door(ears=Ears(deaf=True)).post().status_code == 503


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}2", "Bearer \xff"]
)
def test_a_token_is_wanted_before_anything_is_told(given: str) -> None:
    door = Door(token=TOKEN, host="monitor.example")
    answer = door.post(path="/v1/rooms/r2/feedback", authorization=given)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert TOKEN not in answer.text


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}"])
def test_with_the_token_any_host_may_be_asked(given: str) -> None:
    door = Door(token=TOKEN, host="monitor.example")
    assert door.post(authorization=given).status_code == 202


@pytest.mark.parametrize("host", ["evil.example", "monitor:9464", "10.0.0.1"])
def test_without_a_token_a_page_of_another_host_is_refused(host: str) -> None:
    door = Door(host=host)
    assert door.post().status_code == 403
    assert door.ears.heard == []


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_page_may_send_to_anybody_is_refused(media_type: str) -> None:
    door = Door()
    assert door.post(content_type=media_type).status_code == 415
    assert door.ears.heard == []


def test_it_is_only_posted_to() -> None:
    app = build_app(State(), CollectorRegistry(), [feedback_route(Ears(), None)])

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as client:
            return await client.get(PATH)

    assert asyncio.run(ask()).status_code == 405


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("", False), ("localhost.evil.example", False), ("10.0.0.1", False)],
)  # fmt: skip
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "token", "served"),
    [("127.0.0.1", None, True), ("0.0.0.0", None, False), ("10.0.0.1", None, False), ("0.0.0.0", TOKEN, True),
     ("::1", TOKEN, True)],
)  # fmt: skip
def test_where_others_reach_it_a_token_is_wanted(host: str, token: str | None, served: bool) -> None:
    assert may_serve(host, token) is served
