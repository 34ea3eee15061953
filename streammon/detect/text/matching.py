"""Which line a new reading is of. A fast line crosses most of the picture between two samples: place says little."""

from __future__ import annotations

from collections.abc import Sequence

from streammon.detect.text.line import Line
from streammon.detect.text.placed import Placed, same_row
from streammon.detect.text.voting import Reading, alike

# Shares of the picture's width in a second: nothing that can be read flies faster.
_FASTEST = 0.6
# The least likeness of the texts, 0..1: of whole lines, and of parts, which fit by chance more easily.
_WHOLE, _PART = 0.5, 0.75
# Lines of which the widths differ by more than this share are parts or others.
_WIDTH = 0.12
# A line that flies keeps its speed, but boxes jitter by about half a letter.
_JITTER = 1.0


def matches(
    read: Sequence[tuple[Placed, Reading]], lines: Sequence[Line], at_s: float, width_px: int
) -> dict[int, Line]:
    """For the numbers of the readings that are of one of `lines`, that line; each is at one place only.

    The likeliest pairs go first, and of equals the first ones.
    """
    pairs = [
        (likelihood, number, index)
        for number, (place, reading) in enumerate(read)
        for index, line in enumerate(lines)
        if (likelihood := likely(line, place, reading, at_s, width_px)) > 0
    ]
    found: dict[int, Line] = {}
    taken: set[int] = set()
    for _, number, index in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if number not in found and index not in taken:
            found[number] = lines[index]
            taken.add(index)
    return found


def likely(line: Line, place: Placed, reading: Reading, at_s: float, width_px: int) -> float:
    """How likely (0..2) the reading is of the line: by its text, row, height and way; 0: it is not."""
    if not line.text or not reading.text or not same_row(line.place, place):
        return 0.0
    part = line.place.cut or place.cut or abs(place.width - line.width) > _WIDTH * line.width
    likeness = alike(line.text, reading.text, part=part)
    if likeness < (_PART if part else _WHOLE):
        return 0.0
    return likeness * _on_its_way(line, place, at_s, width_px)


def _on_its_way(line: Line, place: Placed, at_s: float, width_px: int) -> float:
    """0: it cannot have come there; 1: it can; up to 2: it is just where it had to be."""
    passed_s, distance = at_s - line.last_s, line.travelled(place)
    if distance is None:
        return 1.0
    slack = _JITTER * place.height
    if abs(distance) > _FASTEST * width_px * passed_s + slack:
        return 0.0
    if line.speed is None:
        return 1.0 + (abs(distance) <= slack)
    off = abs(distance - line.speed * passed_s)
    return 2.0 - off / (4 * slack) if off <= 4 * slack else 0.0
