"""A proxy on loopback that tunnels as HTTP's CONNECT asks it to, and remembers whither. A few threads per tunnel."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_MAX_BYTES = 1 << 16
_IDLE_S = 20.0


class ConnectProxy:
    """`asked` are the requests, such as `CONNECT host:1`; none is met unless it `allows` them. A context manager."""

    def __init__(self, *, allows: bool = True) -> None:
        self.asked: list[str] = []
        self._allows = allows
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="connect-proxy")]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(5.0)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            connected.settimeout(_IDLE_S)
            self._open.append(connected)
            self._start(self._tunnel, connected)

    def _start(self, target: object, *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args, name="connect-proxy-tunnel")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _tunnel(self, client: socket.socket) -> None:
        head = client.recv(_MAX_BYTES).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        self.asked.append(f"{method} {target}")
        if not self._allows:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = target.rpartition(":")
        server = socket.create_connection((host, int(port)), _IDLE_S)
        self._open.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._start(_pump, client, server)
        _pump(server, client)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(_MAX_BYTES):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
