"""The rooms of one engine: each with its judge, its state and its blind time. Used by the engine's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from streammon.entities import Moment, Observation, Outcome, PictureState, Room, RoomState, Unexamined
from streammon.events import AuditEvent, EndReason, Monitor, StreamEvent, ViolationEvent
from streammon.fleet.blind import BlindClock
from streammon.fleet.coverage import Coverage
from streammon.fleet.early_mutes import EarlyMutes
from streammon.fleet.texts import Said
from streammon.fleet.watched import WatchedRoom
from streammon.ingest.moves import FINAL, allowed
from streammon.ingest.rooms.wire import RoomChanged, RoomPicture
from streammon.judge.feedback import Feedback
from streammon.judge.policy import Policy
from streammon.judge.room import Now, RoomJudge
from streammon.judge.texts import CHAT
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

Event = ViolationEvent | StreamEvent | AuditEvent

_NO_NEED = {Unexamined.CADENCE, Unexamined.UNCHANGED}

OVER_STATES = FINAL | {RoomState.ENDED}
"""A room in one of these has no stream, maybe for now: its incidents end."""


class RoomBook:
    """All rooms that this engine owns."""

    def __init__(self, monitor: Monitor, metrics: Metrics) -> None:
        self._monitor = monitor
        self._metrics = metrics
        self._rooms: dict[str, WatchedRoom] = {}
        self._early_mutes = EarlyMutes()
        self._disabled: tuple[str, ...] = ()

    def open(self, room: Room, epoch: int, policy: Policy, lost: Iterable[ViolationEvent], now: Now) -> list[Event]:
        """Begins to own a room. `lost` is what its last owner left open: the last event of each incident."""
        judge = RoomJudge(room, epoch, policy, self._monitor)
        blind = BlindClock(now.monotonic_s, partial(self._count_blind, room.room_id))
        self._metrics.room_interval_seconds.labels(room.room_id).set(room.interval_s)
        self._rooms[room.room_id] = WatchedRoom(
            room=room,
            epoch=epoch,
            judge=judge,
            blind=blind,
            coverage=Coverage(now.monotonic_s),
            monitor=self._monitor,
        )
        events: list[Event] = _told(self._rooms[room.room_id].set_disabled(self._disabled, now))
        events += judge.end_lost(lost, now)
        for mute in self._early_mutes.take(room.room_id, now.utc):
            events += judge.apply(mute, now)
        return events

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

    def observe(self, observations: Sequence[Observation], now: Now) -> list[Event]:
        """What the detectors saw in one frame, an observation by each."""
        watched = self._rooms.get(observations[0].room_id)
        if watched is None or watched.state in FINAL:
            return []
        watched.moment = observations[0].moment
        if any(observation.unexamined is Unexamined.OVERDUE for observation in observations):
            watched.coverage.lost(1)
        else:
            watched.coverage.examined()
        if any(map(_seen, observations)):
            watched.examined(now.monotonic_s)
        return list(watched.judge.observe_frame(observations, now))

    def written(self, said: Said, now: Now) -> tuple[list[Event], Observation | None]:
        """What a viewer wrote, as of the picture that was last seen. Also as what it is recorded as, if it is."""
        watched = self._rooms.get(said.room_id)
        if watched is None or watched.state in FINAL:
            return [], None
        seen = watched.moment
        pts_s = seen.pts_s if seen is not None and seen.session == watched.session else 0.0
        observation = Observation(
            room_id=said.room_id,
            detector=CHAT,
            labels=frozenset(),
            outcome=Outcome.EXAMINED,
            moment=Moment(session=watched.session, pts_s=pts_s, received_at=said.received_at),
            at_s=said.received_s,
            detections=tuple(said.detections),
            of_frame=False,
        )
        return list(watched.judge.observe(observation, now)), observation

    def apply(self, feedback: Feedback, now: Now) -> list[Event]:
        """What somebody says of a room, though it be over. Of one that is not ours, mutes wait until it is opened."""
        watched = self._rooms.get(feedback.room_id)
        if watched is None:
            self._early_mutes.keep(feedback, now.utc)
            return []
        return list(watched.judge.apply(feedback, now))

    def lost(self, room_id: str, samples: int) -> None:
        """So many samples of a room were thrown away unseen."""
        if (watched := self._rooms.get(room_id)) is not None:
            watched.coverage.lost(samples)

    def set_disabled(self, detectors: tuple[str, ...], now: Now) -> list[Event]:
        """These detectors are switched off now, all others on."""
        events: list[Event] = []
        self._disabled = detectors
        for watched in self._rooms.values():
            if watched.state not in FINAL:
                events += _told(watched.set_disabled(detectors, now))
        return events

    def room(self, room_id: str) -> Room | None:
        """A room that is ours, None where there is none of that id."""
        watched = self._rooms.get(room_id)
        return None if watched is None else watched.room

    def busy(self, room_id: str) -> bool:
        """Whether something goes on in a room's pictures, told or not yet, or would with something else in one."""
        watched = self._rooms.get(room_id)
        return watched is not None and (watched.judge.busy or watched.judge.combining)

    def doubtful(self, room_id: str) -> bool:
        """Whether something was seen in a room that is neither confirmed nor gone yet."""
        watched = self._rooms.get(room_id)
        return watched is not None and watched.judge.doubtful

    def set_interval(self, room_id: str, interval_s: float) -> None:
        """A room is sampled every `interval_s` seconds from now on."""
        if (watched := self._rooms.get(room_id)) is not None:
            watched.room = replace(watched.room, interval_s=interval_s)
            watched.judge.set_interval(interval_s)
            self._metrics.room_interval_seconds.labels(room_id).set(interval_s)

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
                events += _told(watched.tick(now))
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


def _seen(observation: Observation) -> bool:
    """Whether a detector has looked, or need not have."""
    return observation.outcome is Outcome.EXAMINED or observation.unexamined in _NO_NEED


def _told(event: StreamEvent | None) -> list[Event]:
    return [] if event is None else [event]
