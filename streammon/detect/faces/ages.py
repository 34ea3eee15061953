"""How old faces look: faceres, a MobileNet trained for it. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.alignment import chip
from streammon.detect.faces.face import Points
from streammon.detect.runtime.batches import batches
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

YEARS = 100
"""Ages that are told apart: 0 to 99, in years completed."""

_SIDE_PX = 224
# Of 0.1 to 0.8 this, and what is near, told the children of the tuned half best.
_PADDING = 0.5
_SIZES = (4, 1)


class AgeReader:
    """Says of a face how likely each age is."""

    def __init__(self, session: Session) -> None:
        self.name = session.name
        self._session = session

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in _SIZES:
            self._run([np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)] * size)

    @staticmethod
    def chip(image: Image, points: Points) -> Image:
        """A face of the picture as `distributions` takes it, 224 x 224 x 3."""
        return chip(image, points, _SIDE_PX, _PADDING)

    def distributions(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """N x 100, a row per chip, that sums to 1. Raises ModelError where the model does not run, or says nonsense."""
        rows = [self._run(batch) for batch in batches(chips, _SIZES)]
        return np.concatenate([np.zeros((0, YEARS), np.float32), *rows])

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _run(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        planes = np.stack(chips)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32, order="C")
        rows = self._session.run({self._session.input_name: planes})[0]
        if rows.shape != (len(chips), YEARS):
            raise ModelError(f"{self.name}: says {rows.shape}, not {len(chips)} x {YEARS}")
        if not np.isfinite(rows).all():
            raise ModelError(f"{self.name}: gave what is no number")
        return rows
