"""One line of a room's text over time: where it is, how it moves, what was read of it, and whether to read it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streammon.detect.text.appearance import Print
from streammon.detect.text.placed import Placed, placed
from streammon.detect.text.voting import Reading, folded, voted
from streammon.entities import TextKind, TextLine

# Slower than this share of the picture's width in a second is not flying: a camera that pans, a box that jitters.
_FLIES = 0.025
# What stands for so long was laid over the picture.
_OVERLAY_S = 60.0
# So many equal readings of the whole line settle what it says, and so do so many that differ.
_EQUAL, _ENOUGH = 2, 4
_KEPT = 6
# What is read less surely is often something else, if it is a single character or differs by digits.
_SURE = 0.95
# What has stood for so long was not joined with something that flew by.
_STOOD_S = 4.0
# Of the width of a line, what boxes around all of it have at least.
_WHOLE = 0.85


@dataclass(slots=True, kw_only=True)
class Line:
    """A line that is followed. Times are PTS in seconds, speeds pixels per second, to the right.

    `readings` is empty where nothing legible stands in the place. `stands_since_s` is since when it has not moved.
    """

    first_s: float
    last_s: float
    place: Placed
    look: Print
    stands_since_s: float
    read_s: float
    speed: float | None = None
    moved: bool = False
    width: float = 0.0
    readings: list[Reading] = field(default_factory=list)
    reads: int = 0
    text: str = ""
    score: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether another reading would hardly change what it says."""
        whole = [folded(reading.text) for reading in self.readings if not reading.cut]
        equal = sum(text == folded(self.text) for text in whole)
        return equal >= _EQUAL or len(whole) >= _ENOUGH or len(self.readings) >= _KEPT

    @property
    def written(self) -> bool:
        """Whether somebody wrote it: a window or a face is at times taken for a character, but hardly for a word."""
        letters = sum(character.isalnum() for character in self.text)
        return letters >= 2 or (letters == 1 and self.score >= _SURE)

    @property
    def certain(self) -> bool:
        """Whether it is known where it begins and ends, and how it moves."""
        return self.width > 0 and (self.speed is not None if self.moved else self.last_s > self.first_s)

    def in_part(self, place: Placed) -> bool:
        """Whether `place` is only a part of it, though all of it is in the picture: its length is known by now."""
        stood = not self.moved and self.last_s - self.stands_since_s >= _STOOD_S
        return (self.settled or stood) and not place.cut and place.width < _WHOLE * self.width

    def expected(self, at_s: float, width_px: int) -> Placed | None:
        """Where it should be, as much of it as is in the picture; None where that cannot be told, or it has left."""
        if not self.moved:
            return self.place
        if self.speed is None:
            return None
        left = self._left() + self.speed * (at_s - self.last_s)
        right = left + self.width
        if self.width <= 0 or right <= 0 or left >= width_px:
            return None
        return placed(max(0.0, left), self.place.top, min(right, width_px), self.place.bottom, width_px=width_px)

    def travelled(self, place: Placed) -> float | None:
        """How far to the right it would have moved, were it now at `place`; None where no end of it is seen twice."""
        if not self.place.cut_left and not place.cut_left:
            return place.left - self.place.left
        if not self.place.cut_right and not place.cut_right:
            return place.right - self.place.right
        if self.width > 0 and not (place.cut_left and place.cut_right):
            left = place.right - self.width if place.cut_left else place.left
            return left - self._left()
        return None

    def seen(self, at_s: float, place: Placed, look: Print, width_px: int) -> None:
        """It is at `place` now, later than ever before."""
        if self.in_part(place):
            place = self.expected(at_s, width_px) or place
        distance, passed_s = self.travelled(place), at_s - self.last_s
        if distance is not None and abs(distance) > max(0.35 * place.height, 2.0) and passed_s > 0:
            speed = distance / passed_s
            flies = abs(speed) >= _FLIES * width_px
            self.moved = self.moved or flies
            self.speed = speed if flies else self.speed
            self.stands_since_s = at_s
        if not place.cut:
            self.width = place.width
        self.place, self.look, self.last_s = place, look, at_s

    def read(self, at_s: float, reading: Reading | None, *, least_score: float) -> None:
        """It was read; None or less sure than `least_score` where nothing legible stands there."""
        self.read_s = at_s
        self.reads += 1
        if reading is None or reading.score < least_score:
            return
        if not self.moved and _other_number(self.text, reading):
            self.readings = []
        self.readings = _kept([*self.readings, reading])
        self.text = voted(self.readings)
        self.score = max((one.score for one in self.readings if one.text == self.text), default=reading.score)

    def told(self, width_px: int) -> TextLine:
        """What is said of it in a detection."""
        return TextLine(kind=self._kind(width_px), first_pts_s=self.first_s, last_pts_s=self.last_s, reads=self.reads)

    def _kind(self, width_px: int) -> TextKind:
        if self.moved and self.speed is not None and abs(self.speed) >= _FLIES * width_px:
            return TextKind.BARRAGE
        return TextKind.OVERLAY if self.last_s - self.stands_since_s >= _OVERLAY_S else TextKind.SCENE

    def _left(self) -> float:
        """Where it begins, which may be outside of the picture."""
        if self.place.cut_left and not self.place.cut_right and self.width > 0:
            return self.place.right - self.width
        return self.place.left


def _other_number(text: str, reading: Reading) -> bool:
    """Whether what stands in a place is the same but for its digits: then it is a new one, which no vote may undo."""
    before, now = folded(text), folded(reading.text)
    same = [c for c in before if not c.isdigit()] == [c for c in now if not c.isdigit()]
    return same and before != now and not reading.cut and reading.score >= _SURE


def _kept(readings: Sequence[Reading]) -> list[Reading]:
    """The newest few; what was cut off goes first."""
    if len(readings) <= _KEPT:
        return list(readings)
    gone = next((number for number, one in enumerate(readings) if one.cut), 0)
    return [one for number, one in enumerate(readings) if number != gone]
