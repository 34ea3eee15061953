"""Where each room is pulled, and how it gets from one ingest process to another. Used by the supervisor's thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from streammon.entities import Room, RoomState
from streammon.fleet.pool import IngestPool
from streammon.ingest.moves import FINAL, allowed
from streammon.ingest.rooms.handle import IngestHandle
from streammon.ingest.rooms.wire import RoomChanged

# A room that is moved is still pulled by its old process, so long beyond the time that opening may take.
_MOVE_SLACK_S = 5.0
# A suspect whose stream does not come cannot be tried, and others wait for their turn.
_TRIAL_S = 30.0


@dataclass(slots=True, kw_only=True)
class Place:
    """A room, the process that pulls it, and the one that it is being moved to. Times are monotonic."""

    room: Room
    session: int = 0
    state: RoomState | None = None
    handle: IngestHandle | None = None
    next: IngestHandle | None = None
    move_by_s: float = 0.0
    trial_until_s: float | None = None
    quarantined_until_s: float | None = None
    leaving: bool = False
    again: Room | None = None


class Places:
    """All rooms of one supervisor. What becomes of them is told through `on_change`."""

    def __init__(self, pool: IngestPool, open_timeout_s: float, on_change: Callable[[RoomChanged], None]) -> None:
        self.rooms: dict[str, Place] = {}
        self._pool = pool
        self._open_timeout_s = open_timeout_s
        self._on_change = on_change

    def add(self, room: Room) -> None:
        """Has a new room pulled."""
        self.rooms[room.room_id] = Place(room=room)
        self.share(self.rooms[room.room_id])

    def share(self, place: Place) -> None:
        """Has a process that is for many rooms pull it."""
        place.handle = self._pool.shared_for(place.room.room_id)
        place.handle.add_room(place.room, place.session)

    def tenant(self, room_id: str) -> str:
        """Whose room it is; empty where nobody knows it any more. Any thread."""
        place = self.rooms.get(room_id)
        return "" if place is None else place.room.tenant

    def set_interval(self, room_id: str, interval_s: float) -> None:
        """Has a room sampled every `interval_s` seconds, wherever it is pulled, from now on."""
        place = self.rooms.get(room_id)
        if place is None:
            return
        place.room = replace(place.room, interval_s=interval_s)
        for handle in (place.handle, place.next):
            if handle is not None:
                handle.set_interval(room_id, interval_s)

    def try_alone(self, place: Place) -> None:
        """Has a process of its own pull the room."""
        place.trial_until_s = time.monotonic() + _TRIAL_S
        place.handle = self._pool.alone_for(place.room.room_id)
        place.handle.add_room(place.room, place.session)

    def begin_move(self, place: Place) -> None:
        """Brings a room to another process. One that streams is pulled by both until the new one delivers."""
        if place.next is not None:
            return
        if place.state is RoomState.STREAMING:
            place.next = self._pool.shared_for(place.room.room_id)
            place.next.add_room(place.room, place.session)
            place.move_by_s = time.monotonic() + self._open_timeout_s + _MOVE_SLACK_S
            return
        place.trial_until_s = None
        if place.handle is not None:
            self._leave(place, place.handle)
        if place.state is RoomState.CONNECTING:
            self.tell(place, RoomState.BACKING_OFF, "moved", "the process that pulls it is being replaced")
        self.share(place)

    def _leave(self, place: Place, handle: IngestHandle) -> None:
        """Its process does not pull it any more. One that is to be ended need not be asked to stop what may hang."""
        if place.state is RoomState.CONNECTING and self._pool.is_retired(handle):
            handle.ignore_room(place.room.room_id)
            self._pool.left(handle, place.room.room_id)
        else:
            handle.remove_room(place.room.room_id)
        place.handle = None

    def finish_move(self, place: Place) -> None:
        """From now on the new process is the one that counts."""
        if place.handle is not None:
            place.handle.remove_room(place.room.room_id)
        place.handle, place.next = place.next, None
        place.trial_until_s = None
        if allowed(place.state, RoomState.CONNECTING):
            self.tell(place, RoomState.CONNECTING, "moved", "another process pulls it now")

    def take_out(self, place: Place) -> None:
        """No process pulls it any more."""
        self.cancel_move(place)
        if place.handle is not None:
            place.handle.remove_room(place.room.room_id)
        place.handle = place.trial_until_s = None

    def cancel_move(self, place: Place) -> None:
        """The room stays where it is, or goes altogether."""
        if place.next is not None:
            place.next.remove_room(place.room.room_id)
            place.next = None

    def tell(self, place: Place, state: RoomState, reason: str | None = None, detail: str | None = None) -> None:
        """Tells what no process can."""
        change = RoomChanged(
            room_id=place.room.room_id,
            session=place.session,
            state=state,
            at=datetime.now(UTC),
            reason=reason,
            detail=detail,
        )
        self.forward(place, change)

    def forward(self, place: Place, change: RoomChanged) -> None:
        """Tells what a process said. A room that is over is forgotten."""
        place.state = change.state
        if change.state in FINAL:
            del self.rooms[change.room_id]
        self._on_change(change)
        if change.state in FINAL and place.again is not None:
            self.add(place.again)
