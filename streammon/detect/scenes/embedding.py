"""Runs EfficientNet-Lite0 on whole pictures: its probabilities, and the embedding that heads are put on. Any thread."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.custom.picture import InputPlan
from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

MODEL = "efficientnet-lite0"
SIZE = 1280
"""Values of an embedding."""

_SIDE_PX = 224
_SIZES = (4, 1)
_CLASSES = 1000
# The whole picture, its shape not kept: two crops cost twice as much and see no more guns (docs/accuracy.md).
_PLAN = InputPlan(
    height=_SIDE_PX, width=_SIDE_PX, nchw=True, bgr=False, dtype=np.dtype(np.float32), resize="stretch",
    interpolation=cv2.INTER_AREA, pad=0, gain=(1 / 128,) * 3, offset=(-127 / 128,) * 3,
)  # fmt: skip

Floats = NDArray[np.float32]


def placed(image: Image) -> Image:
    """`image` as the net is shown it: 224 x 224 x 3."""
    return _PLAN.place(image)[0]


class Embedder:
    """The net behind a session, which stays its owner's."""

    def __init__(self, session: Session) -> None:
        self.max_batch = gainful_batch(session.provider)
        self._session = session
        self._sizes = tuple(dict.fromkeys((max(self.max_batch, *_SIZES), *_SIZES)))

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in self._sizes:
            self.run([np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)] * size)

    def run(self, pictures: Sequence[Image]) -> tuple[Floats, Floats]:
        """N pictures that were `placed`: N x 1000 probabilities, and N x 1280 embeddings.

        Raises ModelError where the model does not run, or puts out something else.
        """
        ran = [self._batch(batch) for batch in batches(pictures, self._sizes)]
        if not ran:
            return np.empty((0, _CLASSES), np.float32), np.empty((0, SIZE), np.float32)
        return np.concatenate([one for one, _ in ran]), np.concatenate([one for _, one in ran])

    def _batch(self, pictures: Sequence[Image]) -> tuple[Floats, Floats]:
        outputs = self._session.run({self._session.input_name: _PLAN.tensor(pictures)})
        wanted = [(len(pictures), _CLASSES), (len(pictures), SIZE)]
        if [output.shape for output in outputs] != wanted or not all(np.isfinite(output).all() for output in outputs):
            raise ModelError(f"{self._session.name}: its outputs are not {_CLASSES} probabilities and {SIZE} features")
        return outputs[0], outputs[1]
