"""Says where a detector need not look again, because the picture is as it was when it looked last. One thread's."""

from __future__ import annotations

from dataclasses import dataclass, field

from streammon.detect.change.picture_print import PicturePrint, changed
from streammon.detect.config import ReuseConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A detector's last fresh look at a room; `at_s` is when."""

    session: int
    picture: PicturePrint
    at_s: float


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
        room = self._rooms.get(room_id)
        look = room.looks.get(detector) if room is not None else None
        if look is None or look.session != session or now_s - look.at_s >= self._config.max_seconds:
            return False
        return not changed(look.picture, picture).any

    def examined(
        self, detector: str, room_id: str, session: int, picture: PicturePrint, at_s: float, *, hold: bool
    ) -> None:
        """A detector has looked at the picture, at `at_s`. To be told once the judge has seen what came of it.

        `hold`: something is going on in the room, an incident that is open or not confirmed yet. Then none of its
        detectors reuses anything: rules count fresh inferences, and an end must be seen as soon as a start.
        """
        self._forget_before(at_s - self._config.max_seconds)
        if hold:
            self.forget(room_id)
        elif self._allows(detector):
            room = self._rooms.pop(room_id, _Room())
            room.looks[detector] = _Look(session=session, picture=picture, at_s=at_s)
            room.at_s = at_s
            self._rooms[room_id] = room  # last, so that the first are those of which nothing was heard for longest

    def forget(self, room_id: str) -> None:
        """The room is no longer watched. One that is not known is passed over."""
        self._rooms.pop(room_id, None)

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
