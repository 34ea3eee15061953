"""Keeps the ingest process alive: starts it, starts it again when it dies, gives up when that happens too often."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from threading import Lock

from streammon.entities import Room, RoomState
from streammon.errors import IngestCrashed
from streammon.fleet.rooms import FINAL_STATES
from streammon.ingest.config import IngestConfig
from streammon.ingest.handle import IngestHandle
from streammon.ingest.mailbox import Mailbox
from streammon.ingest.wire import RoomChanged, RoomStats
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

_MAX_RESTARTS = 5
_WITHIN_S = 300.0


class IngestSupervisor:
    """One ingest process and the rooms that it must watch. Its methods may be called from any thread."""

    def __init__(
        self,
        config: IngestConfig,
        mailbox: Mailbox,
        metrics: Metrics,
        on_change: Callable[[RoomChanged], None],
        on_fatal: Callable[[IngestCrashed], None],
    ) -> None:
        self._config = config
        self._mailbox = mailbox
        self._metrics = metrics
        self._on_change = on_change
        self._on_fatal = on_fatal
        self._rooms: dict[str, Room] = {}
        self._sessions: dict[str, int] = {}
        self._restarts: deque[float] = deque()
        self._lock = Lock()
        self._handle: IngestHandle | None = None
        self._closed = False

    def start(self, rooms: Iterable[Room]) -> None:
        """Starts the process and has it watch the rooms."""
        with self._lock:
            self._rooms = {room.room_id: room for room in rooms}
            self._start()

    @property
    def pid(self) -> int | None:
        """The process's id, None where there is none."""
        return None if self._handle is None else self._handle.pid

    def room_changed(self, change: RoomChanged) -> None:
        """See IngestListener."""
        with self._lock:
            self._sessions[change.room_id] = change.session
            if change.state in FINAL_STATES:
                self._rooms.pop(change.room_id, None)
        self._on_change(change)

    def room_stats(self, stats: RoomStats) -> None:
        """See IngestListener."""
        counted = (
            (self._metrics.packets, stats.packets),
            (self._metrics.packet_bytes, stats.packet_bytes),
            (self._metrics.decoded, stats.decoded),
            (self._metrics.decode_errors, stats.decode_errors),
            (self._metrics.sampled, stats.sampled),
        )
        for counter, count in counted:
            counter.labels(stats.room_id).inc(count)
        self._metrics.dropped.labels(stats.room_id, "mailbox_full").inc(stats.dropped)

    def ingest_gone(self, handle: IngestHandle) -> None:
        """See IngestListener."""
        with self._lock:
            if self._closed or handle is not self._handle:
                return
            self._handle = None
            self._metrics.ingest_restarts.inc()
            lost = [self._lost(room_id) for room_id in self._rooms]
            within_budget = self._spend_restart()
        for change in lost:
            self._on_change(change)
        if not within_budget:
            self._on_fatal(
                IngestCrashed(
                    f"the ingest process died {_MAX_RESTARTS + 1} times in {_WITHIN_S:g} s; its log says of what"
                )
            )
            return
        with self._lock:
            if not self._closed:
                self._start()

    def close(self) -> None:
        """Ends the process. May be called twice."""
        with self._lock:
            self._closed = True
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    def _start(self) -> None:
        self._handle = IngestHandle(self._config, self._mailbox, self)
        _log.info("ingest process %d watches %d rooms", self._handle.pid, len(self._rooms))
        for room in self._rooms.values():
            self._handle.add_room(room, self._sessions.get(room.room_id, 0))

    def _lost(self, room_id: str) -> RoomChanged:
        return RoomChanged(
            room_id=room_id,
            session=self._sessions.get(room_id, 0),
            state=RoomState.BACKING_OFF,
            at=datetime.now(UTC),
            reason="ingest_lost",
            detail="the process that pulled the stream died; another takes over",
        )

    def _spend_restart(self) -> bool:
        now_s = time.monotonic()
        while self._restarts and now_s - self._restarts[0] > _WITHIN_S:
            self._restarts.popleft()
        self._restarts.append(now_s)
        return len(self._restarts) <= _MAX_RESTARTS
