"""The lines of all rooms, bounded. Several threads at once; a room's lines are one thread's at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from streammon.detect.text.room_lines import RoomLines
from streammon.entities import Frame

# A line of a common size takes 3 KiB, so that 1,000 rooms of 30 lines take 90 MB.
_MOST_ROOMS = 1024
# `time.monotonic()`: a room of which no picture came for so long starts anew.
_FORGET_S = 120.0


@dataclass(slots=True, kw_only=True)
class _Room:
    session: int
    size: tuple[int, ...]
    lines: RoomLines
    pts_s: float
    received_s: float
    busy: Lock = field(default_factory=Lock)


class TextRooms:
    """Keeps each room's lines between its pictures, for as long as its session goes on."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, _Room] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Rooms whose lines are kept."""
        return len(self._rooms)

    @contextmanager
    def lines_of(self, frame: Frame) -> Iterator[RoomLines]:
        """The room's lines so far, for this frame alone.

        A frame that is older than the last one, or comes while another one of its room is read, gets lines of its own,
        without any that were seen before: it is read as if it were the first.
        """
        room = self._room(frame)
        if not room.busy.acquire(blocking=False):
            yield RoomLines(frame.image.shape[1])
            return
        try:
            if frame.moment.pts_s <= room.pts_s or frame.moment.session != room.session:
                yield RoomLines(frame.image.shape[1])
                return
            room.pts_s, room.received_s = frame.moment.pts_s, max(room.received_s, frame.received_s)
            yield room.lines
        finally:
            room.busy.release()

    def _room(self, frame: Frame) -> _Room:
        session, size = frame.moment.session, frame.image.shape
        with self._lock:
            room = self._rooms.pop(frame.room_id, None)
            if room is None or session > room.session or (session == room.session and size != room.size):
                room = _Room(
                    session=session,
                    size=size,
                    lines=RoomLines(size[1]),
                    pts_s=float("-inf"),
                    received_s=frame.received_s,
                )
            self._rooms[frame.room_id] = room  # last, so that the first are those of which nothing came for longest
            self._forget_before(frame.received_s - _FORGET_S)
            return room

    def _forget_before(self, received_s: float) -> None:
        while self._rooms:
            room_id, room = next(iter(self._rooms.items()))
            if room.received_s > received_s and len(self._rooms) <= _MOST_ROOMS:
                return
            del self._rooms[room_id]
