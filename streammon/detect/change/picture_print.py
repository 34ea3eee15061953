"""Takes a picture's print, and tells by two prints where the picture has changed beyond a codec's noise. Pure.

A print is luma by cells of 8 x 8 pixels: the mean, and how much neighbouring pixels differ, which is what thin,
outlined or fine things change where the mean stays. It is deaf to a change of colour at equal luma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.change.regions import Regions
from streammon.entities import Image

_Plane = NDArray[np.uint8]
"""One level (0..255) per pixel or per cell: rows x columns."""

CELL_PX = 8
# Cells per tile and side.
_TILE_CELLS = 8
# Every second row is read: reading the picture is most of the cost, and a stroke of text is as well seen in half of it.
_ROW_STEP = 2

# Mean and detail of one cell, moved by this many levels in all, are a change. Measured on photographs encoded live by
# x264 at 1 to 2.5 Mbit/s with sensor noise of 0 to 3 levels: standing still the most of any cell is 5 in the median and
# 10 in 99 of 100, while a line of text of 14 px at 60 % and a contrast of 3 : 1 moves some cell by 12 at the least.
_CHANGED_LEVELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePrint:
    """What is kept of a picture of `width` x `height` pixels: two planes of cells, 28 KiB for one of 1280 x 720.

    What is left at the right and below, less than a cell, is not looked at.
    """

    width: int
    height: int
    means: _Plane
    details: _Plane


def print_of(image: Image) -> PicturePrint:
    """The print of a picture. Planes without a cell where a side is shorter than 8 pixels."""
    height, width = image.shape[:2]
    rows, columns = height // CELL_PX, width // CELL_PX
    if not rows or not columns:
        none = np.empty((0, 0), np.uint8)
        return PicturePrint(width=width, height=height, means=none, details=none)
    # Copied first: OpenCV takes twice as long over rows that do not follow each other.
    lines = np.ascontiguousarray(image[: rows * CELL_PX : _ROW_STEP, : columns * CELL_PX])
    luma = cast(_Plane, cv2.cvtColor(lines, cv2.COLOR_RGB2GRAY))
    steps = np.zeros_like(luma)
    cv2.absdiff(luma[:, 1:], luma[:, :-1], dst=steps[:, 1:])
    return PicturePrint(width=width, height=height, means=_by_cells(luma), details=_by_cells(steps))


def changed(before: PicturePrint, now: PicturePrint) -> Regions:
    """Where `now` differs from `before`: everywhere, if the sizes differ or there is too little to tell by."""
    tile_px = CELL_PX * _TILE_CELLS
    if (before.width, before.height) != (now.width, now.height) or not now.means.size:
        return Regions(width=now.width, height=now.height, tile_px=tile_px, tiles=np.ones((1, 1), np.bool_))
    moved = cv2.add(cv2.absdiff(before.means, now.means), cv2.absdiff(before.details, now.details))
    cells = moved > _CHANGED_LEVELS
    tops, lefts = (range(0, length, _TILE_CELLS) for length in cells.shape)
    tiles = np.logical_or.reduceat(np.logical_or.reduceat(cells, tops, axis=0), lefts, axis=1)
    return Regions(width=now.width, height=now.height, tile_px=tile_px, tiles=tiles)


def _by_cells(plane: _Plane) -> _Plane:
    """Mean levels by cells. Halved first, since OpenCV does that ten times as fast as it takes an eighth at once."""
    rows, columns = plane.shape[0] * _ROW_STEP // CELL_PX, plane.shape[1] // CELL_PX
    for size in ((columns * 4, rows * 2), (columns * 2, rows), (columns, rows)):
        plane = cast(_Plane, cv2.resize(plane, size, interpolation=cv2.INTER_AREA))
    return plane
