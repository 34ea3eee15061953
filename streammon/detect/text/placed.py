"""Where a line of text stands in a picture, in pixels, and which boxes are parts of one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

# A box that comes nearer than this share of its height to a side of the picture is cut off there.
_EDGE = 0.15
# The slope under which a line lies level.
_LEVEL = 0.04
# Parts of one line differ at most so much in height and row, and lie at most so far apart, in shares of the height. A
# space between words is a quarter of it, and the model's boxes may leave out some of a letter on each side.
_PART_ROW, _PART_HEIGHT, _PART_GAP = 0.25, 0.75, 0.7
# Parts may overlap by so many heights.
_PART_OVERLAP = 2.0


Corners = tuple[tuple[float, float], ...]
"""Four points, x and y in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An upright box in pixels. `cut_left`, `cut_right`: the line goes on outside of the picture there.

    `tilted` are the corners of a line that does not lie level, clockwise from its top left.
    """

    left: float
    top: float
    right: float
    bottom: float
    cut_left: bool = False
    cut_right: bool = False
    tilted: Corners | None = field(default=None, compare=False)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def row(self) -> float:
        """The height at which its middle lies."""
        return (self.top + self.bottom) / 2

    @property
    def cut(self) -> bool:
        return self.cut_left or self.cut_right


def placed(left: float, top: float, right: float, bottom: float, *, width_px: int) -> Placed:
    """A box in a picture that is `width_px` wide, at least a pixel large."""
    bottom, right = max(bottom, top + 1), max(right, left + 1)
    near = _EDGE * (bottom - top)
    return Placed(
        left=left, top=top, right=right, bottom=bottom, cut_left=left <= near, cut_right=right >= width_px - 1 - near
    )


def located(corners_px: NDArray[np.float32], *, width_px: int) -> Placed:
    """The place of a line with these corners, 4 x 2 (x, y), clockwise from its top left."""
    (left, top), (right, bottom) = corners_px.min(axis=0).tolist(), corners_px.max(axis=0).tolist()
    box = placed(left, top, right, bottom, width_px=width_px)
    (x0, y0), (x1, y1) = corners_px[:2].tolist()
    if abs(y1 - y0) <= _LEVEL * abs(x1 - x0):
        return box
    return replace(box, tilted=tuple((float(x), float(y)) for x, y in corners_px.tolist()))


def corners(box: Placed) -> NDArray[np.float32]:
    """A place's corners, 4 x 2 (x, y), clockwise from its top left."""
    if box.tilted is not None:
        return np.array(box.tilted, np.float32)
    xs, ys = (box.left, box.right), (box.top, box.bottom)
    return np.array([(xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1])], np.float32)


def around(boxes: Sequence[Placed], *, width_px: int) -> Placed:
    """The box around `boxes`, of which there is at least one; one alone is itself."""
    if len(boxes) == 1:
        return boxes[0]
    return placed(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
        width_px=width_px,
    )


def beside(box: Placed, taken: Placed, *, width_px: int) -> list[Placed]:
    """What is left of a box to the left and to the right of `taken`; what is narrower than it is high is nothing."""
    sides = ((box.left, min(box.right, taken.left)), (max(box.left, taken.right), box.right))
    return [
        placed(left, box.top, right, box.bottom, width_px=width_px)
        for left, right in sides
        if right - left >= box.height
    ]


def same_row(one: Placed, other: Placed, *, row: float = 0.5, height: float = 0.7) -> bool:
    """Whether two lines may be one that moved sideways.

    Their middles differ by at most `row` of the larger height, and the smaller height is at least `height` of it.
    """
    larger, smaller = max(one.height, other.height), min(one.height, other.height)
    return abs(one.row - other.row) <= row * larger and smaller >= height * larger


def parts(boxes: Sequence[Placed]) -> list[list[int]]:
    """The boxes' numbers, those of one line together and from left to right, in the order of each line's first box.

    A line is often found in parts: at a space, or where something lies over it.
    """
    lines: list[list[int]] = []
    for number in sorted(range(len(boxes)), key=lambda n: (boxes[n].left, n)):
        for line in lines:
            if _follows(boxes[line[-1]], boxes[number]):
                line.append(number)
                break
        else:
            lines.append([number])
    return sorted(lines, key=min)


def _follows(one: Placed, other: Placed) -> bool:
    if one.tilted is not None or other.tilted is not None:
        return False
    gap = other.left - one.right
    size = min(one.height, other.height)
    return same_row(one, other, row=_PART_ROW, height=_PART_HEIGHT) and -_PART_OVERLAP * size <= gap <= _PART_GAP * size
