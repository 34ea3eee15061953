"""An HTTP server on loopback that answers by a script, well or badly, and remembers what it was asked.

One thread accepts, one more per connection. Each of 127.0.0.0/8 is a host of its own to whoever checks addresses.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

_MAX_HEAD_BYTES = 1 << 16
_IDLE_S = 20.0
_TLS_HELLO = b"\x16\x03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. Header names are in lower case; `connection` counts the server's connections from 1."""

    target: str
    headers: Mapping[str, str]
    connection: int

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole and honest answer."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As it goes over the wire."""
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


class Talk:
    """A connection in the hands of a page that says what it likes. It is closed when the page returns None."""

    def __init__(self, asked: Asked, connected: socket.socket, stop: threading.Event) -> None:
        self.asked = asked
        self._connected = connected
        self._stop = stop

    def send(self, content: bytes) -> None:
        """All of it, now."""
        self._connected.sendall(content)

    def wait(self, seconds: float = _IDLE_S) -> bool:
        """Holds the connection open so long; whether the server is still wanted after that."""
        return not self._stop.wait(seconds)


Page = Reply | Callable[[Talk], Reply | None]


class ScriptedServer:
    """`pages` by path, which a test may change at any time; anything else is 404. Also a context manager."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self._host = f"[{host}]" if ":" in host else host
        self._tls = tls
        self._stop = threading.Event()
        self._open: set[socket.socket] = set()
        self._talking: list[threading.Thread] = []
        self._listening = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listening.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="scripted-http")
        self._accepting.start()

    def url(self, path: str, host: str | None = None) -> str:
        """Where a page is, by another name of the host where one is given."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{host if host is not None else self._host}:{self.port}{path}"

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]

    def drop_connections(self) -> None:
        """Breaks off whatever is open."""
        for connected in list(self._open):
            _wake(connected)

    def close(self) -> None:
        """Breaks off whatever is open, and waits for every thread."""
        self._stop.set()
        _wake(self._listening)
        self._listening.close()
        self.drop_connections()
        for thread in [self._accepting, *self._talking]:
            thread.join(5.0)
            assert not thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            self._open.add(connected)
            self.connections += 1
            thread = threading.Thread(target=self._talk, args=(connected, self.connections), name="scripted-http-talk")
            self._talking.append(thread)
            thread.start()

    def _talk(self, connected: socket.socket, number: int) -> None:
        plain = connected
        try:
            connected.settimeout(_IDLE_S)
            if self._tls is not None:
                connected = self._tls.wrap_socket(connected, server_side=True)
            while self._answer(connected, number):
                pass
        except OSError:
            pass  # the client has gone, which is its right
        finally:
            self._open.discard(plain)
            _wake(connected)
            connected.close()

    def _answer(self, connected: socket.socket, number: int) -> bool:
        """Whether the connection is kept."""
        head = b""
        while b"\r\n\r\n" not in head:
            got = connected.recv(_MAX_HEAD_BYTES)
            if not got:
                return False
            head += got
            if head.startswith(_TLS_HELLO):
                connected.sendall(Reply(status=400).encode())  # as web servers do
                return False
        asked = _parse(head, number)
        self.asked.append(asked)
        page = self.pages.get(asked.path, Reply(status=404))
        reply = page if isinstance(page, Reply) else page(Talk(asked, connected, self._stop))
        if reply is not None:
            connected.sendall(reply.encode())
        return reply is not None


def _parse(head: bytes, connection: int) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines if line]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Asked(target=first.split(" ")[1], headers=headers, connection=connection)


def _wake(connected: socket.socket) -> None:
    """Wakes whoever waits on the socket."""
    with suppress(OSError):  # it may not be connected any more
        connected.shutdown(socket.SHUT_RDWR)


def ranged(content: bytes) -> Page:
    """A file of which parts can be had."""

    def page(talk: Talk) -> Reply:
        wanted = talk.asked.headers.get("range")
        if wanted is None:
            return Reply(body=content)
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        return Reply(body=content[first : last + 1], status=206)

    return page


def redirect(location: str, status: int = 302) -> Reply:
    return Reply(status=status, headers={"Location": location})


def hang(talk: Talk) -> None:
    """Never says a word."""
    talk.wait()


def dribble(content: bytes, every_s: float = 0.05) -> Page:
    """Sends `content` as it stands, head and all, byte by byte."""

    def page(talk: Talk) -> None:
        for byte in content:
            talk.send(bytes([byte]))
            if not talk.wait(every_s):
                return

    return page


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of 127.0.0.1 that takes no connection and refuses none: its backlog is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port: int = listening.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        try:
            yield port
        finally:
            for one in waiting:
                one.close()
