"""A second try at codes that were found and not decoded: their part of the picture, sharpened and at twice the size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray

from streammon.entities import Image

Grey = NDArray[np.uint8]
"""A part of a picture: H x W, uint8, brightness."""

_MARGIN = 0.5
"""Of a found code's longer side, kept around it: corners of a code that did not decode are badly placed."""
_LEAST_PX, MOST_PX = 24, 320
"""A tile's longest side; what is larger fails for another reason than its resolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of a frame in pixels, from the left top corner, up to without `right` and `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, image: Image) -> Grey:
        """Its brightness, as a copy."""
        return np.asarray(cv2.cvtColor(image[self.top : self.bottom, self.left : self.right], cv2.COLOR_RGB2GRAY))

    def holds(self, other: Tile) -> bool:
        """Whether the other one's middle lies here and its size is within a half of this one's."""
        x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
        size, others = max(self.size), max(other.size)
        return self.left <= x < self.right and self.top <= y < self.bottom and size <= 1.5 * others <= 2.25 * size

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.right - self.left, self.bottom - self.top


def tile_around(position: zxingcpp.Position, *, width_px: int, height_px: int) -> Tile | None:
    """What to look at again for a code at these corners; None where that is larger than `MOST_PX` on a side."""
    corners = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    xs, ys = [corner.x for corner in corners], [corner.y for corner in corners]
    margin = round(_MARGIN * max(max(xs) - min(xs), max(ys) - min(ys), _LEAST_PX))
    tile = Tile(
        left=max(0, min(xs) - margin),
        top=max(0, min(ys) - margin),
        right=min(width_px, max(xs) + margin),
        bottom=min(height_px, max(ys) + margin),
    )
    return tile if min(tile.size) > 1 and max(tile.size) <= MOST_PX else None


def _sharpened(grey: Grey, sigma_px: float, amount: float = 1.5) -> Grey:
    """Unsharp masking: what a Gaussian of `sigma_px` takes away is added `amount` times."""
    blurred = cv2.GaussianBlur(grey, (0, 0), sigma_px)
    return np.asarray(cv2.addWeighted(grey, 1 + amount, blurred, -amount, 0), np.uint8)


def _larger(grey: Grey, times: int) -> Grey:
    return np.asarray(cv2.resize(grey, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way to prepare a tile of `most_px` a side at most: sharpened (`sigma_px` None: as it is), then larger."""

    name: str
    sigma_px: float | None
    times: int
    most_px: int = MOST_PX

    def prepared(self, grey: Grey) -> Grey:
        """The tile, prepared."""
        return _larger(grey if self.sigma_px is None else _sharpened(grey, self.sigma_px), self.times)


STEPS = (
    Step(name="twice", sigma_px=None, times=2),
    Step(name="sharpened", sigma_px=1.0, times=2),
    Step(name="sharpened_more", sigma_px=2.0, times=2),
    Step(name="four_times", sigma_px=1.0, times=4, most_px=MOST_PX // 2),
)
"""What is done to a tile, in this order until something decodes; docs/accuracy.md has what each adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReading:
    """The codes of a tile, the step that they came by, and by what their corners are to be divided."""

    step: str
    times: int
    codes: tuple[zxingcpp.Barcode, ...]


def read_tile(grey: Grey, formats: zxingcpp.BarcodeFormats, steps: Sequence[Step] = STEPS) -> TileReading | None:
    """What the first step gives that decodes anything; None where none does."""
    for step in steps:
        if max(grey.shape) > step.most_px:
            continue
        if codes := zxingcpp.read_barcodes(step.prepared(grey), formats=formats):
            return TileReading(step=step.name, times=step.times, codes=tuple(codes))
    return None


def tiles_of(codes: Sequence[zxingcpp.Barcode], image: Image) -> Iterator[Tile]:
    """Where to look again: around codes that failed, each place once.

    A code is often found several times, turned or inverted, and one of these may have decoded.
    """
    height, width = image.shape[:2]
    taken: list[Tile] = []
    for code in sorted(codes, key=lambda code: code.valid, reverse=True):
        tile = tile_around(code.position, width_px=width, height_px=height)
        if tile is None or any(other.holds(tile) for other in taken):
            continue
        taken.append(tile)
        if not code.valid:
            yield tile
