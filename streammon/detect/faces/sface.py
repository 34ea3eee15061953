"""Faces as vectors: SFace, from five points. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.alignment import similarity
from streammon.detect.faces.face import Points
from streammon.detect.runtime.batches import batches
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

MODEL_ID = "sface-1"
"""The network and how faces are turned for it: raised when any of them changes."""
DIMENSIONS = 128
_SIDE_PX = 112
# Where the points belong, from OpenCV, modules/objdetect/src/face_recognize.cpp; ArcFace's template.
_PLACES = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
# A graph of this pin takes one picture.
_SIZES = (1,)
_REACH = 4.0


class SFaceEmbedder:
    """Vectors of length 1. OpenCV takes two for one person from a product (cosine) of 0.363 on."""

    model_id = MODEL_ID

    def __init__(self, session: Session) -> None:
        self.name = session.name
        self.sha256 = session.sha256
        self._session = session

    def warm_up(self) -> None:
        """Run once."""
        self.vectors([np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)])

    @staticmethod
    def chip(image: Image, points: Points) -> Image:
        """A face of the picture as `vectors` takes it, 112 x 112 x 3, black outside of the picture."""
        part, moved = _about(image, points)
        turned = similarity(moved, _PLACES)
        return cv2.warpAffine(part, turned, (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR).astype(np.uint8, copy=False)

    def vectors(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """N x 128, a row per chip. Raises ModelError where the model does not run, or says nonsense."""
        rows = [self._run(batch) for batch in batches(chips, _SIZES)]
        return np.concatenate([np.zeros((0, DIMENSIONS), np.float32), *rows])

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _run(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        planes = np.stack(chips).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        rows = self._session.run({self._session.input_name: planes})[0].reshape(len(chips), -1)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if rows.shape[1] != DIMENSIONS or not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise ModelError(f"{self.name}: gave {rows.shape[1]} numbers for {DIMENSIONS}, or what is no number")
        brought: NDArray[np.float32] = (rows / lengths).astype(np.float32, copy=False)
        return brought


def _about(image: Image, points: Points) -> tuple[Image, Points]:
    """The part of the picture that the face can be in, and the points there: OpenCV turns no picture over 32,766 px."""
    middle, reach = points.mean(axis=0), _REACH * (np.ptp(points, axis=0).max() + 1)
    sizes = np.array(image.shape[1::-1])
    left, top = np.clip(np.floor(middle - reach), 0, sizes - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(middle + reach), 1, sizes).astype(int).tolist()
    return image[top : max(bottom, top + 1), left : max(right, left + 1)], points - np.array([left, top])
