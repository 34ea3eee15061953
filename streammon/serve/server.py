"""Runs an HTTP server on a thread of its own, on a TCP port or on a UNIX socket."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from threading import Thread

import uvicorn
from starlette.applications import Starlette

from streammon.errors import StreammonError

_START_WITHIN_S = 5.0
_STOP_WITHIN_S = 5.0


def listen_tcp(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises StreammonError where the address cannot be had."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise StreammonError(
            f"cannot listen on {host}:{port}: {error.strerror}; set `http` to a free address"
        ) from error


def listen_unix(path: Path) -> socket.socket:
    """A socket that listens at a path where nothing is yet, and which only this user may connect to.

    Raises StreammonError where it cannot be made, such as for a path of more than 107 bytes.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen()
    except OSError as error:
        listening.close()
        raise StreammonError(f"cannot listen on {path}: {error.strerror or error}; set TMPDIR to another") from error
    return listening


class HttpServer:
    """Serves an app on a listening socket, which it closes. `port` is that of TCP, None on a UNIX socket."""

    def __init__(self, app: Starlette, listening: socket.socket) -> None:
        self._socket = listening
        self.port: int | None = None if listening.family == socket.AF_UNIX else listening.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    def start(self) -> None:
        """Serves from when this returns. Raises StreammonError where the server does not come up."""
        self._thread.start()
        until_s = time.monotonic() + _START_WITHIN_S
        while not self._server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive() or time.monotonic() > until_s:
                raise StreammonError("the HTTP server did not start; the log says why")

    def close(self) -> None:
        """Stops serving. May be called twice."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        self._socket.close()
