"""The HTTP client on real sockets: how it connects, when it gives up, and that a stop is heard in every phase."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event
from urllib.parse import urlsplit

import pytest

from streammon.errors import (
    SourceForbidden,
    SourceStalled,
    SourceStopped,
    SourceUnreachable,
)
from tests.integration.http_fetching import ALL, HEAD, body, client, flood, refused
from tests.integration.scripted_http import Reply, ScriptedServer, Talk, black_hole, dribble, hang

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.mark.parametrize(
    "page", [hang, dribble(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99), dribble(HEAD), dribble(HEAD + b"x" * 99)]
)
def test_one_byte_now_and_then_does_not_hold_it_for_longer_than_it_may_take(
    server: ScriptedServer, page: Callable[[Talk], Reply | None]
) -> None:
    server.pages["/p"] = page
    with client() as one:
        began_s = time.monotonic()
        refused(SourceStalled, lambda: body(one, server.url("/p"), within_s=0.4))
        assert 0.35 < time.monotonic() - began_s < 0.9


class Names:
    """A resolver whose answers a test decides."""

    def __init__(self, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = answers

    def __call__(self, _host: str, port: None, **_: object) -> list[tuple[int, int, int, str, tuple[str, None]]]:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [(0, 0, 0, "", (address, port)) for address in answer]


def test_a_name_is_asked_for_once_per_connection_and_only_its_checked_address_is_used(
    monkeypatch: pytest.MonkeyPatch, server: ScriptedServer, other: ScriptedServer
) -> None:
    server.pages["/p"] = Reply(body=b"mine")
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    url = server.url("/p", "room.test")
    with client() as one:
        assert [body(one, url), body(one, url)] == [b"mine", b"mine"]
        assert names.asked == 1
        server.drop_connections()
        refused(SourceForbidden, lambda: body(one, url))
    assert names.asked == 2
    assert other.connections == 0
    assert server.asked[0].headers["host"] == urlsplit(url).netloc


def test_the_next_address_of_a_name_is_tried_where_one_does_not_take_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with black_hole() as port:
        taking = socket.create_server(("127.0.0.3", port))
        monkeypatch.setattr(socket, "getaddrinfo", Names(["224.0.0.1", "127.0.0.4", "127.0.0.1", "127.0.0.3"]))
        with taking, client(allow=ALL, wait_s=0.8) as one:
            # It is connected to, after half of the time: what it waits for in vain is an answer.
            began_s = time.monotonic()
            refused(SourceStalled, lambda: body(one, f"http://room.test:{port}/p"))
            assert 1.1 < time.monotonic() - began_s < 1.45
            taking.settimeout(1.0)
            connected, _ = taking.accept()
            connected.close()


@pytest.mark.parametrize(("address", "said"), [("127.0.0.4", "refused"), ("224.0.0.1", "unreachable")])
def test_why_there_is_no_connection_is_said(monkeypatch: pytest.MonkeyPatch, address: str, said: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names([address]))
    with client(allow=ALL) as one:
        assert said in refused(SourceUnreachable, lambda: body(one, "http://room.test:9/p"))


def test_a_server_that_takes_no_connection_is_given_up_in_time() -> None:
    with black_hole() as port, client(wait_s=0.3) as one:
        began_s = time.monotonic()
        assert "does not accept" in refused(SourceUnreachable, lambda: body(one, f"http://127.0.0.1:{port}/p"))
        assert time.monotonic() - began_s < 0.8


@contextmanager
def silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        yield port


def stopped_after(url: str) -> float:
    """The seconds from a stop until the fetch that it interrupts has ended."""
    stop = Event()
    at_s: list[float] = []

    def end() -> None:
        at_s.append(time.monotonic())
        stop.set()

    timer = threading.Timer(0.3, end)
    with client(stop=stop, wait_s=20.0) as one:
        timer.start()
        refused(SourceStopped, lambda: body(one, url, max_bytes=1 << 40, within_s=20.0))
    took_s = time.monotonic() - at_s[0]
    timer.join(1.0)
    return took_s


@pytest.mark.parametrize(
    "page", [hang, dribble(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 999), dribble(HEAD + b"x" * 999), flood]
)
def test_a_stop_is_heard_whatever_the_server_does(server: ScriptedServer, page: Callable[[Talk], Reply | None]) -> None:
    server.pages["/p"] = page
    assert stopped_after(server.url("/p")) < 0.6


@pytest.mark.parametrize(("scheme", "where"), [("http", black_hole), ("http", silent), ("https", silent)])
def test_a_stop_is_heard_while_it_connects(scheme: str, where: Callable[[], AbstractContextManager[int]]) -> None:
    with where() as port:
        assert stopped_after(f"{scheme}://127.0.0.1:{port}/p") < 0.6


def test_a_stop_is_heard_while_a_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()

    def resolve(*_args: object, **_kwargs: object) -> None:
        over.wait(10.0)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        assert stopped_after("http://room.test/p") < 0.6
    finally:
        over.set()
