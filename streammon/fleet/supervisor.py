"""`streammon run`: keeps the engine running, serves one HTTP port. Loads no decoder, no runtime, no broker client.

The caller's thread looks after the engines; the HTTP port has a thread of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from threading import Event as Flag

from prometheus_client import CollectorRegistry

from streammon.errors import StreammonError
from streammon.fleet.config import HttpConfig, Settings
from streammon.fleet.engine_link import EngineLink, as_told
from streammon.fleet.keeper import EngineKeeper, SupervisorMetrics
from streammon.fleet.room_list import RoomSource
from streammon.fleet.state_lock import held
from streammon.serve.app import build_app
from streammon.serve.server import HttpServer, listen_tcp
from streammon.serve.upstream import Upstream, passing_on

_log = logging.getLogger(__name__)

_ROUND_S = 0.2
# An engine that does not answer takes a round some seconds.
_ALIVE_S = 30.0
_METRICS_WITHIN_S = 5.0
# The engine itself keeps to `stop_within`; this is for its death.
_STOP_SLACK_S = 2.0


class Supervisor:
    """All of `streammon run`. `settings` were checked, and have `state` and `models`.

    There is one engine, which has all rooms; more engines are more keepers, and rooms shared out among them.
    """

    def __init__(self, settings: Settings, source: RoomSource) -> None:
        if settings.state is None or settings.models is None:
            raise ValueError("settings.state and settings.models must be set")
        self._state = settings.state
        self._stop_within_s = settings.supervisor.stop_within
        self._round_s = time.monotonic()
        self.metrics = SupervisorMetrics(CollectorRegistry())
        rooms = source.rooms()
        self._rooms = len(rooms)
        start = partial(EngineLink, as_told(settings), rooms, logging.getLogger().getEffectiveLevel(), self._state)
        self.engines = [EngineKeeper("0", start, settings.supervisor, self.metrics)]
        self._http = settings.http

    def run(self, stop: Flag, tell: Callable[[str], None]) -> None:
        """Watches until `stop` is set, then ends in order. `tell` is given a line for people when it begins.

        Raises StreammonError where the state folder or the port is in use, an engine is given up or does not end in
        order.
        """
        with ExitStack() as stack:
            stack.enter_context(held(self._state / "supervisor.lock", stop))
            served = ""
            if self._http is not None:
                server = self._http_server(self._http)
                stack.callback(server.close)
                server.start()
                served = f"; http://{self._http.host}:{server.port}/readyz says when they are watched"
            tell(f"{self._rooms} rooms{served}; Ctrl-C ends")
            try:
                while not stop.is_set():
                    self._round_s = time.monotonic()
                    for engine in self.engines:
                        engine.tick()
                    stop.wait(_ROUND_S)
            finally:
                in_order = self._end()
        if not in_order:
            raise StreammonError("an engine did not end in order; the next run closes what it left open")

    def not_alive(self) -> list[str]:
        """See Health."""
        return ["the supervisor is stuck"] if time.monotonic() - self._round_s > _ALIVE_S else []

    def not_ready(self) -> list[str]:
        """See Health. Ready where every engine is."""
        return [reason for engine in self.engines for reason in engine.not_ready()] + self.not_alive()

    def _end(self) -> bool:
        """Ends the engines, by force where they take too long. Whether they all did so in order."""
        until_s = time.monotonic() + self._stop_within_s + _STOP_SLACK_S
        for engine in self.engines:
            engine.stop()
        while time.monotonic() < until_s and not all(engine.ended() for engine in self.engines):
            self._round_s = time.monotonic()
            time.sleep(_ROUND_S / 4)
        in_order = [engine.close() for engine in self.engines]
        return all(in_order)

    def _http_server(self, config: HttpConfig) -> HttpServer:
        app = build_app(self, self.metrics.registry, [passing_on("/v1", self._upstream)], self._engine_metrics)
        return HttpServer(app, listen_tcp(config.host, config.port))

    def _upstream(self) -> Upstream | None:
        child = self.engines[0].child
        return None if child is None else child.upstream

    def _engine_metrics(self) -> bytes:
        """What the engine counts; nothing where it does not answer, which `streammon_engine_up` tells."""
        upstream = self._upstream()
        try:
            return b"" if upstream is None else upstream.get("/metrics", _METRICS_WITHIN_S)
        except StreammonError as error:
            _log.warning("the engine's metrics are not to be had: %s", error)
            return b""
