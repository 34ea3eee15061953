"""One room as the engine knows it: its judge, what its stream is doing, and for how long nobody could see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from streammon.entities import Moment, PictureState, Room, RoomState
from streammon.events import Monitor, StreamChange, StreamEvent
from streammon.fleet.blind import BlindClock
from streammon.fleet.coverage import Coverage
from streammon.ingest.rooms.wire import RoomChanged, RoomPicture
from streammon.judge.room import Now, RoomJudge

# A room that streams, but whose pictures nobody has examined for this long and for so many intervals, is blind.
_UNSEEN_S = 20.0
_UNSEEN_INTERVALS = 5.0


@dataclass(slots=True, kw_only=True)
class WatchedRoom:
    """`examined_s` is when a picture of it was last examined, or it last began to stream, on the monotonic clock;
    `moment` that of the last frame that was judged.
    """

    room: Room
    epoch: int
    judge: RoomJudge
    blind: BlindClock
    coverage: Coverage
    monitor: Monitor
    state: RoomState | None = None
    picture: PictureState | None = None
    size: tuple[int, int] | None = None
    session: int = 0
    examined_s: float = 0.0
    disabled: tuple[str, ...] = ()
    moment: Moment | None = None
    _stream_seq: int = 0

    def moved(self, change: RoomChanged, now_s: float) -> StreamEvent:
        """Its connection is in another state. Returns the event that tells it."""
        previous, self.state, self.session = self.state, change.state, change.session
        self.examined_s = now_s
        self.blind.set_cause(_blind_cause(change), now_s)
        event = self._event(StreamChange.STATE, change.at)
        return replace(event, previous_state=previous, reason=change.reason, detail=change.detail)

    def pictured(self, seen: RoomPicture) -> list[StreamEvent]:
        """What its picture amounts to, or its size, is another. Returns the events that tell it."""
        previous, self.picture = self.picture, seen.picture
        before, self.size = self.size, (seen.width, seen.height)
        self.session = seen.session
        told = []
        if seen.picture is not previous:
            told.append(replace(self._event(StreamChange.PICTURE, seen.at), previous_picture=previous))
        if before is not None and before != self.size:
            told.append(self._event(StreamChange.RESOLUTION, seen.at))
        return told

    def examined(self, now_s: float) -> None:
        """A detector has looked at a picture of it."""
        self.examined_s = now_s
        if self.state is RoomState.STREAMING:
            self.blind.set_cause(None, now_s)

    def set_disabled(self, detectors: tuple[str, ...], at: Now) -> StreamEvent | None:
        """These detectors are switched off now, all others on. Returns the event that tells it, if it is news."""
        if detectors == self.disabled:
            return None
        self.disabled = detectors
        self.blind.set_disabled(detectors, at.monotonic_s)
        return None if self.state is None else self._event(StreamChange.DETECTOR, at.utc)

    def tick(self, now: Now) -> StreamEvent | None:
        """Time has passed. Returns the event that tells how much of the room is examined, where that changes."""
        self._count_blind(now.monotonic_s)
        share = self.coverage.tick(now.monotonic_s)
        if share is None or self.state is None:
            return None
        return replace(self._event(StreamChange.COVERAGE, now.utc), coverage=share)

    def _count_blind(self, now_s: float) -> None:
        unseen_after_s = max(_UNSEEN_S, _UNSEEN_INTERVALS * self.room.interval_s)
        unseen = self.state is RoomState.STREAMING and now_s - self.examined_s > unseen_after_s
        if unseen and self.blind.cause is None:
            self.blind.set_cause("unexamined", self.examined_s)  # it has been, all this time
        self.blind.accrue(now_s)

    def _event(self, change: StreamChange, at: datetime) -> StreamEvent:
        """The next event, as if nothing had changed."""
        if self.state is None:
            raise ValueError("a room has a state before anything else happens to it")
        self._stream_seq += 1
        return StreamEvent(
            room_id=self.room.room_id,
            tenant=self.room.tenant,
            passthrough=self.room.passthrough,
            owner_epoch=self.epoch,
            seq=self._stream_seq,
            session=self.session,
            state=self.state,
            previous_state=self.state,
            reason=None,
            at=at,
            monitor=self.monitor,
            blind=self.blind.totals(),
            change=change,
            picture=self.picture,
            previous_picture=self.picture,
            width=None if self.size is None else self.size[0],
            height=None if self.size is None else self.size[1],
            disabled_detectors=self.disabled,
        )


def _blind_cause(change: RoomChanged) -> str | None:
    """Why a room in this state is not watched. One whose publisher ended the stream has nothing that could be seen."""
    if change.state in {RoomState.STREAMING, RoomState.ENDED}:
        return None
    return change.reason or change.state.value
