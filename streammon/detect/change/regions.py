"""The part of a picture that has changed, by tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
