"""A TCP proxy on loopback that does to a connection what networks do. A thread accepts, two more per connection."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 1 << 14
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True, eq=False)
class _Link:
    """One connection through the proxy: the client's end, the server's end, and whether it is to be cut."""

    near: socket.socket
    far: socket.socket
    cut: bool
    how: int = socket.SHUT_RDWR

    def close(self) -> None:
        """Wakes the threads that read from either end, and closes both."""
        for end, how in ((self.near, self.how), (self.far, socket.SHUT_RDWR)):
            with suppress(OSError):  # it may not be connected any more
                end.shutdown(how)
            end.close()

    def reset(self) -> None:
        """Has the client see RST when the link is closed; shut down for writing, it would see an end before."""
        self.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.how = socket.SHUT_RD


class FaultProxy:
    """Passes connections on to a port of 127.0.0.1; what it does to them may be changed at any time, by any thread."""

    def __init__(self, to_port: int) -> None:
        self._to = ("127.0.0.1", to_port)
        self._rate: float | None = None
        self._cut_all = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._stop = threading.Event()
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._start(self._accept, self._listening)

    def cut(self, *, always: bool = False) -> None:
        """Ends each open connection with RST in the middle of what comes next; `always`: later ones too."""
        self._cut_all = always
        for link in list(self._links):
            link.cut = True

    def throttle(self, bytes_per_s: float) -> None:
        """What the server sends comes byte by byte from now on."""
        self._rate = bytes_per_s

    def freeze(self) -> None:
        """Nothing goes either way any more, and no connection ends."""
        self._flowing.clear()

    def refuse(self) -> None:
        """New connections are refused; those that are open are not touched."""
        _wake(self._listening)
        self._listening.close()

    def heal(self) -> None:
        """All is well again, also where it is what it was."""
        self._rate, self._cut_all = None, False
        self._flowing.set()
        if self._listening.fileno() < 0:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            self._start(self._accept, self._listening)

    def close(self) -> None:
        """Breaks off whatever is open and waits for every thread. May be called twice."""
        self._stop.set()
        self._flowing.set()
        self.refuse()
        for link in list(self._links):
            link.close()
        for thread in self._threads:
            thread.join(5.0)
            assert not thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, act: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=act, args=args, name="fault-proxy")
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._to, 5.0)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            link = _Link(near=near, far=far, cut=self._cut_all)
            self._links.add(link)
            self._start(self._upstream, link)
            self._start(self._downstream, link)

    def _upstream(self, link: _Link) -> None:
        with suppress(OSError):
            while chunk := link.near.recv(_CHUNK_BYTES):
                self._flowing.wait()
                link.far.sendall(chunk)
        self._drop(link)

    def _downstream(self, link: _Link) -> None:
        with suppress(OSError):
            while chunk := link.far.recv(_CHUNK_BYTES):
                self._flowing.wait()
                if link.cut:
                    link.near.sendall(chunk[: len(chunk) // 2])
                    link.reset()
                    break
                self._send(link.near, chunk)
        self._drop(link)

    def _send(self, near: socket.socket, chunk: bytes) -> None:
        while chunk and (rate := self._rate) is not None:
            near.sendall(chunk[:1])
            chunk = chunk[1:]
            if self._stop.wait(1.0 / rate):
                return
        near.sendall(chunk)

    def _drop(self, link: _Link) -> None:
        self._links.discard(link)
        link.close()


def _wake(listening: socket.socket) -> None:
    """Wakes who waits to accept; closing alone would not."""
    with suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
