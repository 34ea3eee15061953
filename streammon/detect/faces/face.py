"""A face that was found in a picture. Pure; any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streammon.entities import Box

Points = NDArray[np.float64]
"""Five points of a face, 5 x 2 (x, y) in pixels: the eye on the picture's left, the other eye, the tip of the nose,
the corner of the mouth on the picture's left, the other corner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """`left`, `top`, `width` and `height` are of the upright box around it, in pixels of the picture; `score` is 0..1.

    The box may reach over the picture's border, where a part of the face is not in it.
    """

    left: float
    top: float
    width: float
    height: float
    score: float
    points: Points

    @property
    def size_px(self) -> float:
        """The shorter side."""
        return min(self.width, self.height)

    def box(self, picture_shape: tuple[int, ...]) -> Box:
        """In fractions of the picture (height, width, …), the part inside of it."""
        height, width = picture_shape[:2]
        x1, x2 = np.clip([self.left / width, (self.left + self.width) / width], 0.0, 1.0).tolist()
        y1, y2 = np.clip([self.top / height, (self.top + self.height) / height], 0.0, 1.0).tolist()
        return Box(x=x1, y=y1, w=x2 - x1, h=y2 - y1)
