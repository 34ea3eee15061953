"""The HTTP port: what each path answers, and that a server comes up, goes away and says why it cannot."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from streammon.errors import StreammonError
from streammon.metrics import Metrics
from streammon.serve.app import build_app
from streammon.serve.server import HttpServer


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
    running = HttpServer(build_app(State(), Metrics(CollectorRegistry()).registry), "127.0.0.1", 0)
    running.start()
    yield running
    running.close()


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
        HttpServer(build_app(State(), CollectorRegistry()), "127.0.0.1", server.port)


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(StreammonError, match=r"cannot listen on 192\.0\.2\.1:0"):
        HttpServer(build_app(State(), CollectorRegistry()), "192.0.2.1", 0)


def test_closing_frees_the_port_and_ends_the_thread(server: HttpServer) -> None:
    assert http_threads() == ["http"]
    server.close()
    assert http_threads() == []
    socket.create_server(("127.0.0.1", server.port)).close()


def test_closing_does_not_wait_for_a_client_that_stays_connected(server: HttpServer) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        client.get("/livez")
        server.close()
        assert http_threads() == []


def test_closing_does_not_wait_for_half_a_request(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n")
        server.close()
        assert http_threads() == []


def test_it_may_be_closed_twice_and_without_having_started() -> None:
    unused = HttpServer(build_app(State(), CollectorRegistry()), "127.0.0.1", 0)
    unused.close()
    unused.close()
    socket.create_server(("127.0.0.1", unused.port)).close()
