"""The classifier of pornography: nsfwjs InceptionV3, whole frames. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.detect.detectors.config import NsfwConfig
from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source
from streammon.errors import ModelError

_SIDE_PX = 299
_SIZES = (4, 1)


class NsfwDetector:
    """One detection per class of the model that the taxonomy has a label for and that is at least `min_score` likely.

    The classes exclude one another: their probabilities, and those of the classes without a label, sum to 1.
    """

    name = "nsfw"
    parallel = 2

    def __init__(self, session: Session, label_map: Mapping[str, str], config: NsfwConfig) -> None:
        """`label_map` names the taxonomy's label of each class that has one.

        Raises ModelError where it names a class that the model does not have.
        """
        classes = session.metadata.get("labels", "").split(",")
        if unknown := sorted(set(label_map) - set(classes)):
            raise ModelError(f"{session.name}: has no class {', '.join(unknown)}; its classes are {', '.join(classes)}")
        self.model = session.name
        self.labels = frozenset(label_map.values())
        self.max_batch = gainful_batch(session.provider)
        self._session = session
        self._sizes = tuple(dict.fromkeys((max(self.max_batch, *_SIZES), *_SIZES)))
        self._columns = {classes.index(raw): label for raw, label in label_map.items()}
        self._min_score = config.min_score

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in self._sizes:
            self._probabilities([np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)] * size)

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What each frame shows as a whole. Raises ModelError where the model does not run."""
        return [
            self._detections(row)
            for batch in batches(frames, self._sizes)
            for row in self._probabilities([frame.image for frame in batch])
        ]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _probabilities(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """N x classes, in the model's order of classes."""
        pixels = np.stack([resize_align_corners(image, _SIDE_PX) for image in images])
        return self._session.run({self._session.input_name: pixels / np.float32(255)})[0]

    def _detections(self, row: NDArray[np.float32]) -> tuple[Detection, ...]:
        scores = ((label, float(row[column])) for column, label in self._columns.items())
        return tuple(
            # A softmax in float32 may come out a hair above 1.
            Detection(detector=self.name, model=self.model, source=Source.VISUAL, label=label, score=min(score, 1.0))
            for label, score in scores
            if score >= self._min_score
        )


def resize_align_corners(image: Image, side_px: int) -> NDArray[np.float32]:
    """`image` as side x side x 3 float32 in 0..255, the corner pixels' centres kept: what the model was trained on.

    The formula is TensorFlow's `resizeBilinear(align_corners=True)`. OpenCV has no such mode, and its `remap` rounds
    positions to 1/32 pixel, which is seen on sharp edges.
    """
    top, bottom, down = _taps(image.shape[0], side_px)
    left, right, along = _taps(image.shape[1], side_px)
    across = along[None, :, None]
    upper = _between(image[np.ix_(top, left)], image[np.ix_(top, right)], across)
    lower = _between(image[np.ix_(bottom, left)], image[np.ix_(bottom, right)], across)
    return _between(upper, lower, down[:, None, None])


def _taps(size_px: int, side_px: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each target position, the two source positions it lies between and how far it is past the first, 0..1."""
    at = np.arange(side_px, dtype=np.float32) * np.float32((size_px - 1) / (side_px - 1))
    first = np.minimum(np.floor(at).astype(np.intp), size_px - 1)
    return first, np.minimum(first + 1, size_px - 1), at - first.astype(np.float32)


def _between(
    a: NDArray[np.uint8] | NDArray[np.float32], b: NDArray[np.uint8] | NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    start = a.astype(np.float32)
    return start + (b.astype(np.float32) - start) * share
