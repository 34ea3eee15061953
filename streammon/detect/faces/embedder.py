"""Faces as vectors: dlib's network for telling people apart. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.alignment import chip
from streammon.detect.faces.centre import CENTRE
from streammon.detect.faces.face import Points
from streammon.detect.runtime.batches import batches
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

MODEL_ID = "dlib-face-1"
"""The network, how faces are turned for it, and what is made of its numbers: raised when any of them changes."""
DIMENSIONS = 128

# As the network was trained.
_SIDE_PX = 150
_PADDING = 0.25


class FaceEmbedder:
    """Vectors of length 1. The product of two is the cosine of the angle between them: about 0 for two people."""

    model_id = MODEL_ID
    side_px = _SIDE_PX
    sizes: tuple[int, ...] = (4, 1)

    def __init__(self, session: Session) -> None:
        self.name = session.name
        self.sha256 = session.sha256
        self._session = session

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in self.sizes:
            self.vectors([np.zeros((self.side_px, self.side_px, 3), np.uint8)] * size)

    @staticmethod
    def chip(image: Image, points: Points) -> Image:
        """A face of the picture as `vectors` takes it, 150 x 150 x 3."""
        return chip(image, points, _SIDE_PX, _PADDING)

    def vectors(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """N x 128, a row per chip. Raises ModelError where the model does not run, or says nonsense."""
        rows = [
            self._run(np.stack(batch).transpose(0, 3, 1, 2).astype(np.float32, order="C"))
            for batch in batches(chips, self.sizes)
        ]
        return np.concatenate([np.zeros((0, DIMENSIONS), np.float32), *rows])

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        raw = self._session.run({self._session.input_name: planes})[0]
        vectors = unit(unit(raw) - CENTRE)
        if not np.isfinite(vectors).all():
            raise ModelError(f"{self.name}: gave what is no number")
        return vectors


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows (n x d) at length 1; one of zeros becomes NaN."""
    with np.errstate(invalid="ignore"):
        made: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return made
