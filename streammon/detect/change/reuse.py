"""Says where a detector need not look again, because the picture is as it was when it looked last. One thread's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from streammon.detect.change.picture_print import PicturePrint, changed
from streammon.detect.config import ReuseConfig
from streammon.entities import Box

# Where there is always something for a detector in what changes, asking costs more than it spares.
_MOST_REST = 16


@dataclass(slots=True, kw_only=True)
class _Look:
    """A detector's last fresh look at a room; `at_s` is when.

    `asked_s` is of the newest picture whose part was asked for; before it was, -inf. The last `vain` times that one was
    the look had to be taken all the same, so for the next `rest` looks none is given.
    """

    session: int
    picture: PicturePrint
    at_s: float
    vain: int = 0
    rest: int = 0
    asked_s: float = -math.inf

    def next(self, at_s: float) -> tuple[int, int]:
        """`vain` and `rest` of the look that was taken after this one, at `at_s`."""
        if self.asked_s >= at_s:
            return self.vain + 1, min(2**self.vain, _MOST_REST)
        return (self.vain, self.rest - 1) if self.rest else (0, 0)


@dataclass(slots=True)
class _Room:
    looks: dict[str, _Look] = field(default_factory=dict)
    at_s: float = 0.0


class Reuse:
    """The last looks of all detectors at all rooms. Times are `time.monotonic()`, in seconds.

    A picture is held against that of the last *fresh* look, never against the last one that was reused: what comes in
    slowly adds up until it is seen.
    """

    def __init__(self, config: ReuseConfig) -> None:
        self._config = config
        self._rooms: dict[str, _Room] = {}

    def __len__(self) -> int:
        """Rooms of which a look is kept."""
        return len(self._rooms)

    def may_reuse(self, detector: str, room_id: str, session: int, picture: PicturePrint, now_s: float) -> bool:
        """Whether the detector would see nothing new. If so its observation is `not_examined`, and counts as reused."""
        look = self._look(detector, room_id, session, now_s)
        return look is not None and not changed(look.picture, picture).any

    def part(self, detector: str, room_id: str, session: int, picture: PicturePrint, now_s: float) -> Box | None:
        """What has changed since the detector last looked, for it to say whether there is anything in it. None where
        all of the picture has to be looked at.

        What lies outside is as it was when the detector saw it, and nothing came of it: while something goes on in a
        room there is no look to hold a picture against. What lies inside the detector has screened. So nothing is kept
        from the judge by it but what `may_reuse` keeps as well, for as long: `max_seconds`, from one look to the next.
        """
        look = self._look(detector, room_id, session, now_s) if self._config.parts else None
        if look is None or look.rest or (look.picture.width, look.picture.height) != (picture.width, picture.height):
            return None
        look.asked_s = max(look.asked_s, now_s)
        regions = changed(look.picture, picture)
        return regions.around if regions.any else None

    def examined(self, detector: str, room_id: str, session: int, picture: PicturePrint, at_s: float) -> None:
        """A detector has looked at the picture, at `at_s`. To be told once the judge has seen what came of it, and only
        while nothing goes on in the room.
        """
        self._forget_before(at_s - self._config.max_seconds)
        if self._allows(detector):
            room = self._rooms.pop(room_id, _Room())
            known = room.looks.get(detector)
            vain, rest = known.next(at_s) if known is not None else (0, 0)
            room.looks[detector] = _Look(session=session, picture=picture, at_s=at_s, vain=vain, rest=rest)
            room.at_s = at_s
            self._rooms[room_id] = room  # last, so that the first are those of which nothing was heard for longest

    def forget(self, room_id: str) -> None:
        """The room is no longer watched, or something goes on in it: an incident that is open or not confirmed yet.

        Then none of its detectors reuses anything: rules count fresh inferences, and an end must be seen as soon as a
        start. A room that is not known is passed over.
        """
        self._rooms.pop(room_id, None)

    def _look(self, detector: str, room_id: str, session: int, now_s: float) -> _Look | None:
        """The detector's last look, where it is young enough and of the same session."""
        room = self._rooms.get(room_id)
        look = room.looks.get(detector) if room is not None else None
        if look is None or look.session != session or now_s - look.at_s >= self._config.max_seconds:
            return None
        return look

    def _allows(self, detector: str) -> bool:
        named = self._config.detectors
        return self._config.enabled and (named is None or detector in named)

    def _forget_before(self, at_s: float) -> None:
        """Lets go of rooms whose looks are all too old to be of use."""
        while self._rooms:
            room_id, room = next(iter(self._rooms.items()))
            if room.at_s > at_s:
                return
            del self._rooms[room_id]
