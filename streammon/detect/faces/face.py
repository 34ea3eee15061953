"""A face that was found in a picture, and what finds faces and tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streammon.entities import Box, Image

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


class Locator(Protocol):
    """Finds faces in a picture. Several of the engine's threads at once."""

    name: str
    max_batch: int

    def warm_up(self) -> None: ...

    def locate(self, image: Image) -> list[Face]:
        """The surest first. Raises ModelError where the model does not run, or says nonsense."""

    def close(self) -> None: ...


class Embedder(Protocol):
    """Makes vectors of length 1 of faces, of which those of one person are alike. Several threads at once.

    `model_id` says how: vectors of another one do not compare.
    """

    model_id: str
    name: str
    sha256: str

    def warm_up(self) -> None: ...

    def chip(self, image: Image, points: Points) -> Image:
        """A face of the picture as `vectors` takes it."""

    def vectors(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """A row per chip. Raises ModelError where the model does not run, or says nonsense."""

    def close(self) -> None: ...
