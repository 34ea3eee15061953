"""The rooms of one engine: each with its judge, its state and its blind time. Used by the engine's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from streammon.entities import Observation, Outcome, PictureState, Room, RoomState
from streammon.events import AuditEvent, EndReason, Monitor, StreamEvent, ViolationEvent
from streammon.fleet.blind import BlindClock
from streammon.fleet.watched import WatchedRoom
from streammon.ingest.moves import FINAL, allowed
from streammon.ingest.rooms.wire import RoomChanged, RoomPicture
from streammon.judge.feedback import Feedback
from streammon.judge.policy import Policy
from streammon.judge.room import Now, RoomJudge
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

Event = ViolationEvent | StreamEvent | AuditEvent

OVER_STATES = FINAL | {RoomState.ENDED}
"""A room in one of these has no stream, maybe for now: its incidents end."""


class RoomBook:
    """All rooms that this engine owns."""

    def __init__(self, monitor: Monitor, metrics: Metrics) -> None:
        self._monitor = monitor
        self._metrics = metrics
        self._rooms: dict[str, WatchedRoom] = {}

    def open(self, room: Room, epoch: int, policy: Policy, lost: Iterable[ViolationEvent], now: Now) -> list[Event]:
        """Begins to own a room. `lost` is what its last owner left open: the last event of each incident."""
        judge = RoomJudge(room, epoch, policy, self._monitor)
        blind = BlindClock(now.monotonic_s, partial(self._count_blind, room.room_id))
        self._rooms[room.room_id] = WatchedRoom(room=room, epoch=epoch, judge=judge, blind=blind, monitor=self._monitor)
        return list(judge.end_lost(lost, now))

    def change(self, change: RoomChanged, now: Now) -> list[Event]:
        """A room's connection moved to another state. A move that the table does not allow is not made."""
        watched = self._rooms[change.room_id]
        if not allowed(watched.state, change.state):
            if watched.state not in FINAL:  # the last words of one that is over are nothing strange
                _log.error(
                    "room cannot go from %s to %s", watched.state, change.state, extra={"room_id": change.room_id}
                )
            return []
        events: list[Event] = []
        if change.state in FINAL:
            reason = EndReason.STOPPED if change.state is RoomState.STOPPED else EndReason.ROOM_ENDED
            events += watched.judge.close(reason, now)
        elif change.state is RoomState.ENDED:
            events += watched.judge.stream_over(now)
        self._count_move(watched, change.state)
        events.append(watched.moved(change, now.monotonic_s))
        return events

    def picture(self, seen: RoomPicture) -> list[Event]:
        """What a room's picture amounts to, or its size, changed."""
        watched = self._rooms[seen.room_id]
        if watched.state is None or watched.state in FINAL:
            return []
        for picture in PictureState:
            shown = picture is seen.picture
            self._metrics.room_picture.labels(seen.room_id, picture.value).set(shown)
        return list(watched.pictured(seen))

    def observe(self, observations: Iterable[Observation], now: Now) -> list[Event]:
        """What the detectors saw in one frame."""
        events: list[Event] = []
        for observation in observations:
            watched = self._rooms.get(observation.room_id)
            if watched is not None and watched.state not in FINAL:
                if observation.outcome is Outcome.EXAMINED:
                    watched.examined(now.monotonic_s)
                events += watched.judge.observe(observation, now)
        return events

    def apply(self, feedback: Feedback, now: Now) -> list[Event]:
        """What somebody says of a room, though it be over; nothing comes of it where the room is not ours."""
        watched = self._rooms.get(feedback.room_id)
        return [] if watched is None else list(watched.judge.apply(feedback, now))

    def room(self, room_id: str) -> Room | None:
        """A room that is ours, None where there is none of that id."""
        watched = self._rooms.get(room_id)
        return None if watched is None else watched.room

    def policy(self, room_id: str) -> Policy:
        """What a room is judged by now."""
        return self._rooms[room_id].judge.policy

    def withholds(self, room_id: str) -> bool:
        """Whether the picture that was last observed in a room must not be kept."""
        watched = self._rooms.get(room_id)
        return watched is not None and watched.judge.withholds

    def set_policies(self, choose: Callable[[Room], Policy], now: Now) -> list[Event]:
        """The policies have changed: each room is judged by what `choose` says from now on."""
        events: list[Event] = []
        for watched in self._rooms.values():
            if watched.state not in FINAL:
                events += watched.judge.set_policy(choose(watched.room), now)
        return events

    def tick(self, now: Now) -> list[Event]:
        """Time has passed."""
        events: list[Event] = []
        for watched in self._rooms.values():
            if watched.state not in FINAL:
                watched.tick(now.monotonic_s)
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
        return all(watched.state in FINAL for watched in self._rooms.values())

    def states(self) -> dict[str, RoomState | None]:
        """The state of each room; None before its first."""
        return {room_id: watched.state for room_id, watched in self._rooms.items()}

    def _count_move(self, watched: WatchedRoom, state: RoomState) -> None:
        room_id = watched.room.room_id
        if watched.state is not None:
            self._metrics.room_state.labels(room_id, watched.state.value).set(0)
        self._metrics.room_state.labels(room_id, state.value).set(1)
        self._metrics.moves.labels(room_id, state.value).inc()
        if state is RoomState.STREAMING:
            self._metrics.sessions.labels(room_id).inc()

    def _count_blind(self, room_id: str, cause: str, seconds: float) -> None:
        self._metrics.blind_seconds.labels(room_id, cause).inc(seconds)
