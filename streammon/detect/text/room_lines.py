"""One room's lines of text, from picture to picture: what must be read, and what the room says now. One thread's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streammon.detect.text.appearance import Print, likeness, print_of
from streammon.detect.text.line import Line
from streammon.detect.text.matching import matches
from streammon.detect.text.placed import Placed, around, beside, parts, same_row
from streammon.detect.text.quiet import QuietRoom
from streammon.detect.text.voting import Reading, alike
from streammon.entities import Image

# A line is looked at afresh after so long, however much it seems to be the same.
REREAD_S = 20.0
# One that is not seen for so long is gone: several samples, and more than an unchanged picture is left unexamined.
FORGET_S = 15.0
MOST_LINES = 256
# Small lines are looked for so often where none are known; where some are, in every second picture.
FINE_S = 30.0
_SMALL_KNOWN_S = 10.0
# See `appearance`: what stands in a place is the same to the character. What is settled and has stood there for so many
# seconds is still there: it takes less likeness the longer it has stood, since other text would rarely fit so well.
_SAME, _STILL_THERE = 0.8, ((4.0, 0.65), (10.0, 0.45))
_ALL_BUT_ONE = (0.9, 0.7)
# In heights: boxes around one line differ by so much at its ends from picture to picture.
_JITTER = 0.8
# The least share of a line that must be found to say that it is there.
_FOUND = 0.4


@dataclass(slots=True, kw_only=True)
class Spot:
    """A line in the picture at hand. `line` is what it is known to be; None: reading it will tell."""

    place: Placed
    look: Print
    line: Line | None = None
    to_read: bool = True


class RoomLines:
    """The lines of one room in one session, for pictures of one width. Times are PTS in seconds, and must rise.

    `quiet` says in which pictures no text need be searched for.
    """

    def __init__(self, width_px: int) -> None:
        self._width_px = width_px
        self.quiet = QuietRoom()
        self._lines: list[Line] = []
        self._closely, self._closely_s = False, -math.inf

    def __len__(self) -> int:
        """Lines that are followed."""
        return len(self._lines)

    def fine(self, at_s: float, small_px: float) -> bool:
        """Whether to look at this picture closely: lines lower than `small_px` were there lately, or might be.

        Never in two pictures running, so that it adds at most half.
        """
        known = (line for line in self._lines if line.written and line.place.height < small_px)
        small = any(at_s - line.last_s <= _SMALL_KNOWN_S for line in known)
        closely = not self._closely and (small or at_s - self._closely_s >= FINE_S)
        self._closely = closely
        if closely:
            self._closely_s = at_s
        return closely

    def look(self, image: Image, boxes: Sequence[Placed], at_s: float) -> list[Spot]:
        """What stands where text was located, `boxes`; those `to_read` must be read before `settle`."""
        self._lines = [line for line in self._lines if at_s - line.last_s <= FORGET_S]
        free, spots = list(boxes), list[Spot]()
        for line in sorted(self._lines, key=lambda line: (-len(line.readings), line.first_s)):
            expected = line.expected(at_s, self._width_px)
            if expected is None:
                continue
            spot, used = self._there(image, line, expected, free, at_s)
            if spot is not None:
                spots.append(spot)
                left_over = [rest for box in used for rest in beside(box, expected, width_px=self._width_px)]
                free = [box for box in free if box not in used] + left_over
        for together in parts(free):
            place = around([free[number] for number in together], width_px=self._width_px)
            spots.append(Spot(place=place, look=print_of(image, place)))
        return spots

    def settle(self, spots: Sequence[Spot], readings: Sequence[Reading], at_s: float, least_score: float) -> list[Line]:
        """The lines that are in the picture now, from top to bottom. `readings` are of the spots `to_read`, in order.

        A reading less sure than `least_score` counts as nothing legible.
        """
        told = iter(readings)
        read = [next(told) if spot.to_read else None for spot in spots]
        for spot, reading in zip(spots, read, strict=True):
            if spot.line is not None and reading is not None and not _agree(spot.line, reading, least_score):
                spot.line = None
        self._recognise(spots, read, at_s, least_score)
        seen = []
        for spot, reading in zip(spots, read, strict=True):
            line = spot.line if spot.line is not None else self._new(spot, at_s)
            if reading is not None and line.in_part(spot.place):
                reading = replace(reading, cut_left=True, cut_right=True)  # noqa: PLW2901
            line.seen(at_s, spot.place, spot.look, self._width_px)
            if reading is not None:
                line.read(at_s, reading, least_score=least_score)
            if line.text:
                seen.append(line)
        del self._lines[: max(0, len(self._lines) - MOST_LINES)]
        return sorted(seen, key=lambda line: (line.place.top, line.place.left))

    def _recognise(
        self, spots: Sequence[Spot], read: Sequence[Reading | None], at_s: float, least_score: float
    ) -> None:
        """Gives spots whose line is not known yet that of which their reading is."""
        unknown = [
            (spot, reading)
            for spot, reading in zip(spots, read, strict=True)
            if spot.line is None and reading is not None and reading.score >= least_score
        ]
        taken = {id(spot.line) for spot in spots if spot.line is not None}
        lost = [line for line in self._lines if id(line) not in taken]
        found = matches([(spot.place, reading) for spot, reading in unknown], lost, at_s, self._width_px)
        for number, line in found.items():
            unknown[number][0].line = line

    def _new(self, spot: Spot, at_s: float) -> Line:
        line = Line(
            first_s=at_s, last_s=at_s, place=spot.place, look=spot.look, stands_since_s=at_s, read_s=at_s,
        )  # fmt: skip
        self._lines.append(line)
        return line

    def _there(
        self, image: Image, line: Line, expected: Placed, free: Sequence[Placed], at_s: float
    ) -> tuple[Spot | None, list[Placed]]:
        """The line where it should be and the boxes that are it; None where reading alone can tell that it is."""
        row = [box for box in free if same_row(box, expected)]
        own = [box for box in row if _inside(box, expected)] or [box for box in row if _around(box, expected)]
        if own:
            return self._known(image, line, expected, around(own, width_px=self._width_px), at_s), own
        # Something else lies so near that they were found as one.
        over = [box for box in row if _inside(expected, box)]
        if over and line.text and line.certain:
            return Spot(place=expected, look=print_of(image, expected), line=line), over
        return None, []

    def _known(self, image: Image, line: Line, expected: Placed, place: Placed, at_s: float) -> Spot | None:
        if place.width < _FOUND * expected.width:
            return None
        due = at_s - line.read_s >= REREAD_S
        if line.moved:
            # What the model left out of the line now is read too; what it added to a line that is known is not.
            whole = expected if line.settled else around([place, expected], width_px=self._width_px)
            whole = place if place.tilted is not None else whole
            just_there = _inside(place, expected) and _inside(expected, place)
            return Spot(place=whole, look=line.look, line=line, to_read=due or not line.settled or not just_there)
        # The same pixels as before, since what stands there does not move, though the boxes around it jitter.
        now = print_of(image, line.place)
        alike_now, stood_s = likeness(line.look, now), at_s - line.stands_since_s
        if alike_now.least >= _SAME:
            return Spot(place=line.place, look=line.look, line=line, to_read=due)
        # All is the same but for one character: that is no change behind the line.
        one_differs = alike_now.whole >= _ALL_BUT_ONE[0] and alike_now.least < _ALL_BUT_ONE[1]
        still_there = any(stood_s >= long_s and alike_now.whole >= least for long_s, least in _STILL_THERE)
        if line.settled and still_there and not one_differs:
            return Spot(place=line.place, look=now, line=line, to_read=due)
        return None


def affordable(spots: Sequence[Spot], most_read: int) -> list[Spot]:
    """The spots that can be settled where only so many may be read: new ones before those that are read again.

    A known line that is not read again now stays as it was; a new place is left for the next picture.
    """
    to_read = sorted((spot for spot in spots if spot.to_read), key=lambda spot: spot.line is not None)
    for spot in to_read[most_read:]:
        spot.to_read = False
    return [spot for spot in spots if spot.to_read or spot.line is not None]


def _inside(box: Placed, other: Placed) -> bool:
    """Whether `box` begins and ends within `other`, as far as that can be told."""
    slack = _JITTER * box.height
    return box.left >= other.left - slack and box.right <= other.right + slack


def _around(box: Placed, other: Placed) -> bool:
    """Whether `box` is `other` and hardly more."""
    return _inside(other, box) and box.width <= other.width + 2 * box.height


def _agree(line: Line, reading: Reading, least_score: float) -> bool:
    """Whether a reading can be of the line that is where it should be."""
    if not line.text or reading.score < least_score:
        return not line.text and reading.score < least_score
    return alike(line.text, reading.text, part=reading.cut or line.place.cut) >= 0.5
