"""The part of a picture that has changed, by tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streammon.entities import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Square tiles of `tile_px` pixels of a picture of `width` x `height`: true where it changed (rows x columns).

    The last row and column may reach past the picture. One tile alone stands for the whole picture, whatever its size.
    """

    width: int
    height: int
    tile_px: int
    tiles: NDArray[np.bool_]

    @property
    def any(self) -> bool:
        """Whether anything has changed."""
        return bool(self.tiles.any())

    @property
    def share(self) -> float:
        """How much of the picture has changed, 0..1, by the number of tiles."""
        return float(self.tiles.mean())

    def bounds(self) -> Box | None:
        """What holds all that changed, and a tile more on each side; None where nothing has.

        The margin keeps a line of text or a code whole whose faint part has not been seen to change.
        """
        rows, columns = np.flatnonzero(self.tiles.any(axis=1)), np.flatnonzero(self.tiles.any(axis=0))
        if not rows.size:
            return None
        if self.tiles.size == 1:
            return Box(x=0.0, y=0.0, w=1.0, h=1.0)
        left, right = _span(columns, self.tile_px, self.width)
        top, bottom = _span(rows, self.tile_px, self.height)
        return Box(x=left, y=top, w=right - left, h=bottom - top)


def _span(tiles: NDArray[np.intp], tile_px: int, length_px: int) -> tuple[float, float]:
    """The first and last of `tiles`, grown by one, as fractions of `length_px`."""
    first, last = int(tiles[0]) - 1, int(tiles[-1]) + 2
    return max(0.0, first * tile_px / length_px), min(1.0, last * tile_px / length_px)
