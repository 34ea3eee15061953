"""The first voice: the nets of nsfwjs, which tell drawing, hentai, neutral, porn and sexy. Any number of threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.detect.nsfw.verdict import Shares
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

_EPSILON = 0.01  # a softmax may come out a hair above 1, in bfloat16 some more
_CLASSES = ("Drawing", "Hentai", "Neutral", "Porn", "Sexy")


class Nsfwjs:
    """MobileNetV2 or InceptionV3 as nsfwjs trained them, at the side length that the graph takes."""

    def __init__(self, session: Session) -> None:
        """Raises ModelError where the model lacks one of the classes, or takes no square pictures, channels last."""
        classes = session.metadata.get("labels", "").split(",")
        if missing := [name for name in _CLASSES if name not in classes]:
            told = ", ".join(classes)
            raise ModelError(f"{session.name}: has no class {', '.join(missing)}; its classes are {told}")
        side_px = session.input_shape[1] if len(session.input_shape) == 4 else None
        if side_px is None or session.input_shape[1:] != (side_px, side_px, 3):
            raise ModelError(f"{session.name}: its input is {session.input_shape}, not N x side x side x 3")
        self.side_px = side_px
        self._session = session
        self._classes = len(classes)
        self._columns = [classes.index(name) for name in _CLASSES]

    def shares(self, images: Sequence[Image]) -> list[Shares]:
        """Of each picture. Raises ModelError where the model does not run, or says what is no probability."""
        pixels = np.stack([resize_align_corners(image, self.side_px) for image in images])
        rows = self._session.run({self._session.input_name: pixels / np.float32(255)})[0]
        told = probabilities(rows, (len(images), self._classes), self._session.name)
        return [
            Shares(drawing=drawing, hentai=hentai, neutral=neutral, porn=porn, sexy=sexy)
            for drawing, hentai, neutral, porn, sexy in told[:, self._columns].tolist()
        ]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()


def probabilities(values: NDArray[np.float32], shape: tuple[int, int], model: str) -> NDArray[np.float32]:
    """`values`, what is a hair beyond 0..1 cut off.

    Raises ModelError where they are not of that shape (pictures x classes), or one is no probability, such as NaN.
    """
    if values.shape != shape:
        raise ModelError(f"{model}: says {values.shape}, not {shape[0]} x {shape[1]}")
    if not (values.min() >= -_EPSILON and values.max() <= 1 + _EPSILON):
        raise ModelError(f"{model}: says {values.min():.3g} to {values.max():.3g}, not 0 to 1")
    return values.clip(0.0, 1.0)


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
