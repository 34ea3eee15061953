"""Remembers the places where a room's codes did not decode, so that several looks at one can be laid over another.

What flies over a code, and what the encoder makes of it, differs from picture to picture; a code that stays does not.
Used by several of the engine's threads at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from streammon.detect.codes.retry import Grey, Tile
from streammon.entities import Frame

LOOKS = 3
_PLACES_PER_ROOM, _ROOMS = 4, 64
"""At most 64 rooms x 4 places x 3 looks x 320 x 320 bytes: 79 MB, were all of them as large as they may be."""
_FORGET_S = 10.0
_SAME = 40.0
"""Mean difference of brightness, 0..255, above which another thing is at the place."""


@dataclass(slots=True)
class _Place:
    tile: Tile
    seen_s: float
    looks: list[Grey]


@dataclass(slots=True)
class _Room:
    session: int
    places: list[_Place] = field(default_factory=list)


class Looks:
    """The last looks at each place, by room. A room's new session begins anew."""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, _Room] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, frame: Frame, tile: Tile) -> tuple[Tile, Grey] | None:
        """Keeps what is at the tile, and gives the median of the looks at that place, from the second on.

        The tile that comes back is the place's: the one of its first look, since corners jitter. `frame.received_s` is
        the clock.
        """
        with self._lock:
            room = self._room(frame)
            place = next((place for place in room.places if place.tile.holds(tile)), None)
            if place is None:
                fresh = _Place(tile=tile, seen_s=frame.received_s, looks=[tile.cut(frame.image)])
                room.places = [*room.places, fresh][-_PLACES_PER_ROOM:]
                return None
            now = place.tile.cut(frame.image)
            same = [look for look in place.looks if _alike(look, now)]
            place.looks, place.seen_s = [*same, now][-LOOKS:], frame.received_s
            looks = place.looks
        return (place.tile, np.median(looks, axis=0).round().astype(np.uint8)) if len(looks) > 1 else None

    def _room(self, frame: Frame) -> _Room:
        """The frame's room, without what was not seen for a while; as new where its picture has another size."""
        room = self._rooms.get(frame.room_id)
        if room is None or room.session != frame.moment.session:
            room = _Room(session=frame.moment.session)
        self._rooms[frame.room_id] = room
        self._rooms.move_to_end(frame.room_id)
        if len(self._rooms) > _ROOMS:
            self._rooms.popitem(last=False)
        height, width = frame.image.shape[:2]
        room.places = [
            place
            for place in room.places
            if frame.received_s - place.seen_s <= _FORGET_S
            and place.tile.right <= width
            and place.tile.bottom <= height
        ]
        return room


def _alike(one: Grey, other: Grey) -> bool:
    return float(np.mean(np.abs(one.astype(np.int16) - other))) <= _SAME
