"""Runs the HTTP port on a thread of its own."""

from __future__ import annotations

import socket
import time
from threading import Thread

import uvicorn
from starlette.applications import Starlette

from streammon.errors import StreammonError

_START_WITHIN_S = 5.0
_STOP_WITHIN_S = 5.0


class HttpServer:
    """One listening socket. Raises StreammonError where the address cannot be had."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        try:
            self._socket = socket.create_server((host, port))
        except OSError as error:
            raise StreammonError(
                f"cannot listen on {host}:{port}: {error.strerror}; set `http` to a free address"
            ) from error
        self.port: int = self._socket.getsockname()[1]
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
                raise StreammonError(f"the HTTP server on port {self.port} did not start; the log says why")

    def close(self) -> None:
        """Stops serving. May be called twice."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        self._socket.close()
