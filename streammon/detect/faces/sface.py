"""Faces as vectors: SFace, from five points. Several of the engine's threads at once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.alignment import similarity
from streammon.detect.faces.embedder import DIMENSIONS, FaceEmbedder, unit
from streammon.detect.faces.face import Points
from streammon.entities import Image
from streammon.errors import ModelError

MODEL_ID = "sface-1"
"""The network and how faces are turned for it: raised when any of them changes."""
_SIDE_PX = 112
# Where the points belong, from OpenCV, modules/objdetect/src/face_recognize.cpp; ArcFace's template.
_PLACES = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
_REACH = 4.0


class SFaceEmbedder(FaceEmbedder):
    """Vectors of length 1. OpenCV takes two for one person from a product (cosine) of 0.363 on."""

    model_id = MODEL_ID
    side_px = _SIDE_PX
    sizes = (1,)  # a graph of this pin takes one picture

    @staticmethod
    def chip(image: Image, points: Points) -> Image:
        """A face of the picture as `vectors` takes it, 112 x 112 x 3, black outside of the picture."""
        part, moved = _about(image, points)
        turned = similarity(moved, _PLACES)
        return cv2.warpAffine(part, turned, (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR).astype(np.uint8, copy=False)

    def _run(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = self._session.run({self._session.input_name: planes})[0].reshape(len(planes), -1)
        vectors = unit(rows)
        if rows.shape[1] != DIMENSIONS or not np.isfinite(vectors).all():
            raise ModelError(f"{self.name}: gave {rows.shape[1]} numbers for {DIMENSIONS}, or what is no number")
        brought: NDArray[np.float32] = vectors.astype(np.float32, copy=False)
        return brought


def _about(image: Image, points: Points) -> tuple[Image, Points]:
    """The part of the picture that the face can be in, and the points there: OpenCV turns no picture over 32,766 px."""
    middle, reach = points.mean(axis=0), _REACH * (np.ptp(points, axis=0).max() + 1)
    sizes = np.array(image.shape[1::-1])
    left, top = np.clip(np.floor(middle - reach), 0, sizes - 1).astype(int).tolist()
    right, bottom = np.clip(np.ceil(middle + reach), 1, sizes).astype(int).tolist()
    return image[top : max(bottom, top + 1), left : max(right, left + 1)], points - np.array([left, top])
