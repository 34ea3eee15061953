"""The rooms of one engine: each with its judge, its state and its blind time. Used by the engine's thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from streammon.entities import Observation, Room, RoomState
from streammon.events import EndReason, Monitor, StreamEvent, ViolationEvent
from streammon.fleet.blind import BlindClock
from streammon.ingest.wire import RoomChanged
from streammon.judge.policy import Policy
from streammon.judge.room import Now, RoomJudge
from streammon.metrics import Metrics

Event = ViolationEvent | StreamEvent

FINAL_STATES = frozenset({RoomState.FAILED, RoomState.STOPPED})
"""A room in one of these is no longer watched by this owner."""
OVER_STATES = FINAL_STATES | {RoomState.ENDED}
"""A room in one of these has no stream, maybe for now: its incidents end."""


@dataclass(slots=True, kw_only=True)
class _Watched:
    room: Room
    epoch: int
    judge: RoomJudge
    blind: BlindClock
    state: RoomState | None = None
    stream_seq: int = 0
    session: int = 0


class RoomBook:
    """All rooms that this engine owns."""

    def __init__(self, monitor: Monitor, metrics: Metrics) -> None:
        self._monitor = monitor
        self._metrics = metrics
        self._rooms: dict[str, _Watched] = {}

    def open(self, room: Room, epoch: int, policy: Policy, lost: Iterable[ViolationEvent], now: Now) -> list[Event]:
        """Begins to own a room. `lost` is what its last owner left open: the last event of each incident."""
        judge = RoomJudge(room, epoch, policy, self._monitor)
        blind = BlindClock(now.monotonic_s, partial(self._count_blind, room.room_id))
        self._rooms[room.room_id] = _Watched(room=room, epoch=epoch, judge=judge, blind=blind)
        return list(judge.end_lost(lost, now))

    def change(self, change: RoomChanged, now: Now) -> list[Event]:
        """A room's connection moved to another state."""
        watched = self._rooms[change.room_id]
        if watched.state in FINAL_STATES:
            return []
        watched.blind.set_cause(
            None if change.state is RoomState.STREAMING else change.reason or change.state.value, now.monotonic_s
        )
        events: list[Event] = []
        if change.state in OVER_STATES:
            end = watched.judge.close if change.state in FINAL_STATES else watched.judge.end_all
            events += end(EndReason.STOPPED if change.state is RoomState.STOPPED else EndReason.ROOM_ENDED, now)
        self._count_change(watched, change)
        events.append(self._stream_event(watched, change))
        watched.state = change.state
        watched.session = change.session
        return events

    def observe(self, observations: Iterable[Observation], now: Now) -> list[Event]:
        """What the detectors saw in one frame."""
        events: list[Event] = []
        for observation in observations:
            watched = self._rooms.get(observation.room_id)
            if watched is not None and watched.state not in FINAL_STATES:
                events += watched.judge.observe(observation, now)
        return events

    def tick(self, now: Now) -> list[Event]:
        """Time has passed."""
        events: list[Event] = []
        for watched in self._rooms.values():
            if watched.state not in FINAL_STATES:
                watched.blind.accrue(now.monotonic_s)
                events += watched.judge.tick(now)
        return events

    def stop(self, now: Now) -> list[Event]:
        """Ends every room that has not ended, because the monitor is being stopped."""
        events: list[Event] = []
        for watched in self._rooms.values():
            change = RoomChanged(
                room_id=watched.room.room_id, session=watched.session, state=RoomState.STOPPED, at=now.utc
            )
            events += self.change(change, now)
        return events

    def all_final(self) -> bool:
        """Whether no room is watched any more."""
        return all(watched.state in FINAL_STATES for watched in self._rooms.values())

    def states(self) -> dict[str, RoomState | None]:
        """The state of each room; None before its first."""
        return {room_id: watched.state for room_id, watched in self._rooms.items()}

    def _stream_event(self, watched: _Watched, change: RoomChanged) -> StreamEvent:
        watched.stream_seq += 1
        return StreamEvent(
            room_id=watched.room.room_id,
            tenant=watched.room.tenant,
            passthrough=watched.room.passthrough,
            owner_epoch=watched.epoch,
            seq=watched.stream_seq,
            session=change.session,
            state=change.state,
            previous_state=watched.state,
            reason=change.reason,
            at=change.at,
            monitor=self._monitor,
            blind=watched.blind.totals(),
            detail=change.detail,
        )

    def _count_change(self, watched: _Watched, change: RoomChanged) -> None:
        room_id = watched.room.room_id
        if watched.state is not None:
            self._metrics.room_state.labels(room_id, watched.state.value).set(0)
        self._metrics.room_state.labels(room_id, change.state.value).set(1)
        if change.state is RoomState.STREAMING:
            self._metrics.sessions.labels(room_id).inc()

    def _count_blind(self, room_id: str, cause: str, seconds: float) -> None:
        self._metrics.blind_seconds.labels(room_id, cause).inc(seconds)
