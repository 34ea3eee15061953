"""The part of a picture that has changed, by tiles. Pure."""

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
    def around(self) -> Box:
        """The rectangle about all that has changed and a tile more on each side. There is a change."""
        rows, columns = np.nonzero(self.tiles)
        left, top = (max(0, int(at.min()) - 1) * self.tile_px for at in (columns, rows))
        right = min(self.width, (int(columns.max()) + 2) * self.tile_px)
        bottom = min(self.height, (int(rows.max()) + 2) * self.tile_px)
        wide, tall = self.width, self.height
        return Box(x=left / wide, y=top / tall, w=(right - left) / wide, h=(bottom - top) / tall)
