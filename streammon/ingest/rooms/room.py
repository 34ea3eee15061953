"""One room in the ingest process: what state it is in, which thread pulls it, and whether that thread still comes on.

A thread that hangs in a call cannot be ended: it is given up, and another pulls the room. A lock orders the process's
main thread and the room's pullers, so that one that was given up changes nothing any more when it comes back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import RLock

from msgspec.structs import replace

from streammon.entities import RoomState
from streammon.errors import InternalFault, SourceError, SourceHung, SourceStalled, SourceStopped
from streammon.ingest.config import IngestConfig
from streammon.ingest.moves import FINAL, allowed
from streammon.ingest.rooms.arena import Arena
from streammon.ingest.rooms.handover import FreeSlots, Outgoing, RoomCounts
from streammon.ingest.rooms.puller import Puller, Spent, Target
from streammon.ingest.rooms.session import SamplingThread
from streammon.ingest.rooms.wire import (
    AddRoom,
    Channel,
    FromRoom,
    RoomChanged,
    RoomPicture,
    RoomStats,
    RoomThread,
    ToIngest,
)
from streammon.ingest.sampling.picture import PictureWatch
from streammon.ingest.source import SourceRequest

_log = logging.getLogger(__name__)

# How long a thread may take to end a connection, once it was asked to.
_HANG_UP_WITHIN_S = 2.0
_STOP_WITHIN_S = 0.5


class RoomWorker:
    """`add` carries its slots in the arena, which it owns until it sends them off."""

    def __init__(self, add: AddRoom, config: IngestConfig, arena: Arena, channel: Channel[ToIngest]) -> None:
        self.room_id = add.room_id
        self.interval_s = add.interval_s
        self.counts = RoomCounts()
        self.slots = FreeSlots(add.slots)
        self._target = Target(
            request=SourceRequest(url=add.url, headers=add.headers), url_command=tuple(add.url_command)
        )
        self._config = config
        self._arena = arena
        self._channel = channel
        self._picture = PictureWatch(config.picture_after)
        self._lock = RLock()
        self._state: RoomState | None = None
        self._session = add.session_base
        self._seq = 0
        self._failures = 0
        self._give_up_s: float | None = None
        self._stopping = False
        self._puller = Puller(self, self._target, config)
        self._told = Spent()

    # What the process's main thread calls.

    def start(self) -> None:
        """Begins to watch."""
        self._puller.start()

    def set_interval(self, interval_s: float) -> None:
        """Sample every `interval_s` seconds from the next packet on."""
        self.interval_s = interval_s

    def stop(self) -> None:
        """Asks the room's thread to end. `stopped` is sent when it has, or when it is given up."""
        with self._lock:
            self._stopping = True
            self._give_up_s = time.monotonic() + _STOP_WITHIN_S
            self._puller.stop()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within `timeout_s`."""
        return self._puller.join(timeout_s)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent."""
        return self._state in FINAL

    def report(self) -> None:
        """Sends what the room has done since the last report."""
        with self._lock:
            self._send(self._stats())

    def watch(self, now_s: float, *, may_give_up: bool) -> Puller | None:
        """Hangs up on a thread that does not come on, then gives it up, if it may. Returns one that was given up."""
        with self._lock:
            if self.over:
                return None
            late = now_s > self._puller.deadline_s
            if self._give_up_s is None:
                if late:
                    self._hang_up(now_s)
            elif not late and not self._stopping:
                self._give_up_s = None  # it has come on
            elif now_s >= self._give_up_s and (may_give_up or self._stopping):
                return self._give_up()
            return None

    # What a puller calls; see `PulledRoom`.

    @contextmanager
    def turn(self, puller: SamplingThread) -> Iterator[None]:
        """See `SampledRoom`."""
        with self._lock:
            if puller is not self._puller or self.over:
                raise SourceStopped("the room has another thread now, or none")
            yield

    def state(self) -> RoomState | None:
        """See `PulledRoom`."""
        return self._state

    def runs_on(self, tid: int, mark: str) -> None:
        """See `PulledRoom`."""
        with self._lock:
            self._send(RoomThread(room_id=self.room_id, tid=tid, mark=mark))

    def move(self, puller: SamplingThread, state: RoomState, error: SourceError | None = None) -> None:
        """See `PulledRoom`."""
        with self.turn(puller):
            self._move(state, error)

    def begin_session(self, puller: SamplingThread) -> None:
        """See `SampledRoom`."""
        with self.turn(puller):
            self._session += 1
            self._picture.begin_session()
            self._move(RoomState.STREAMING)

    def resumed(self) -> bool:
        """See `PulledRoom`."""
        return self._session > 0

    def failed(self, puller: SamplingThread) -> int:
        """See `PulledRoom`."""
        with self.turn(puller):
            self._failures += 1
            return self._failures

    def forget_failures(self, puller: SamplingThread) -> None:
        """See `PulledRoom`."""
        with self.turn(puller):
            self._failures = 0

    def send(self, puller: SamplingThread, outgoing: Outgoing) -> None:
        """See `SampledRoom`."""
        with self.turn(puller):
            self._look(outgoing)
            self._seq += 1
            self._send(outgoing.write(self._arena, self.room_id, self._session, self._seq))

    # Under the lock.

    def _look(self, outgoing: Outgoing) -> None:
        picture = outgoing.sample.picture
        change = self._picture.look(outgoing.image, outgoing.sample.arrival.pts_s, (picture.width, picture.height))
        if change is None:
            return
        self._send(
            RoomPicture(
                room_id=self.room_id,
                session=self._session,
                at=outgoing.sample.arrival.received_at,
                picture=change.picture,
                width=change.width,
                height=change.height,
                resized=change.resized,
            )
        )

    def _hang_up(self, now_s: float) -> None:
        self._give_up_s = now_s + _HANG_UP_WITHIN_S
        self._puller.hang_up()
        if self._state is RoomState.STREAMING:
            self._move(RoomState.STALLED, SourceStalled("connected, but nothing came any more; it is tried again"))

    def _give_up(self) -> Puller:
        """Leaves the thread to itself; a live room that is not being stopped gets another one."""
        hung = self._puller
        hung.stop()
        self._give_up_s = None
        if self._stopping:
            self._move(RoomState.STOPPED)
            return hung
        error = SourceHung("a call into FFmpeg or the system does not come back; its thread was given up")
        if not self._target.live:
            self._move(RoomState.FAILED, error)
            return hung
        self._move(RoomState.BACKING_OFF, error)
        self._failures += 1
        self._puller = Puller(self, self._target, self._config, after_failures=self._failures)
        self._told = Spent()
        self._puller.start()
        return hung

    def _move(self, state: RoomState, error: SourceError | None = None) -> None:
        if not allowed(self._state, state):
            raise InternalFault(f"a room cannot go from {self._state} to {state}")
        self._state = state
        reason, detail = (error.code, str(error)) if error is not None else (None, None)
        _log.info("room is %s", state.value, extra={"room_id": self.room_id, "reason": reason})
        if self.over:
            self._channel.send(self._stats())
        self._send(
            RoomChanged(
                room_id=self.room_id,
                session=self._session,
                state=state,
                at=datetime.now(UTC),
                reason=reason,
                detail=detail,
            )
        )

    def _stats(self) -> RoomStats:
        told, self._told = self._told, self._puller.spent
        return replace(
            self.counts.take(self.room_id),
            cpu_s=self._told.cpu_s - told.cpu_s,
            pulled_bytes=self._told.pulled_bytes - told.pulled_bytes,
        )

    def _send(self, message: FromRoom) -> None:
        if not self.over or isinstance(message, RoomChanged):
            self._channel.send(message)
