"""Judges a recording by a policy, with the recording's own clocks: what would have been raised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from streammon.entities import Room
from streammon.events import EndReason, Monitor, ViolationEvent
from streammon.judge.policy import Policy
from streammon.judge.recording import RecordedFrame
from streammon.judge.room import Now, RoomJudge

_TICK_S = 1.0
# A clock that goes back by more was another run's: files that were recorded one after the other may be joined.
_NEW_RUN_S = 5.0


@dataclass(slots=True, kw_only=True)
class _Replayed:
    judge: RoomJudge
    epoch: int
    now: Now


class Replay:
    """Replays frames, each room's in their order. `frames` and `rooms` count what was replayed."""

    def __init__(self, policy: Policy, monitor: Monitor) -> None:
        self._policy = policy
        self._monitor = monitor
        self._rooms: dict[str, _Replayed] = {}
        self.frames = 0

    @property
    def rooms(self) -> int:
        """How many rooms there were."""
        return len(self._rooms)

    def run(self, frames: Iterable[RecordedFrame]) -> Iterator[ViolationEvent]:
        """The events of the frames, as they come. At the end of the frames what is open ends as `stopped`."""
        for frame in frames:
            observations = frame.observations()
            if not observations:  # only a model on trial has looked
                continue
            self.frames += 1
            now = Now(monotonic_s=frame.at_s, utc=frame.moment.received_at)
            room = self._rooms.get(frame.room_id)
            if room is None or frame.at_s < room.now.monotonic_s - _NEW_RUN_S:
                if room is not None:
                    yield from room.judge.close(EndReason.STOPPED, room.now)
                room = self._open(frame, 1 if room is None else room.epoch + 1, now)
            yield from self._pass_time(room, now)
            yield from room.judge.observe_frame(observations, now)
        for room in self._rooms.values():
            yield from room.judge.close(EndReason.STOPPED, room.now)

    def _open(self, frame: RecordedFrame, epoch: int, now: Now) -> _Replayed:
        watched = Room(
            room_id=frame.room_id, url="", tenant=frame.tenant, policy=self._policy.id, interval_s=frame.interval_s
        )
        room = _Replayed(judge=RoomJudge(watched, epoch, self._policy, self._monitor), epoch=epoch, now=now)
        self._rooms[frame.room_id] = room
        return room

    @staticmethod
    def _pass_time(room: _Replayed, now: Now) -> Iterator[ViolationEvent]:
        """Ticks between two frames, as long as there is something that time may end."""
        at_s = room.now.monotonic_s + _TICK_S
        while at_s < now.monotonic_s and not room.judge.idle:
            utc = now.utc - timedelta(seconds=now.monotonic_s - at_s)
            yield from room.judge.tick(Now(monotonic_s=at_s, utc=utc))
            at_s += _TICK_S
        room.now = now
        yield from room.judge.tick(now)
