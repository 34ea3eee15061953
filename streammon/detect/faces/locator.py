"""Finds faces in a picture: CenterFace. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.face import Face
from streammon.detect.runtime.batches import gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

Floats = NDArray[np.float32]

# Height x width in pixels, for pictures of about 16:9, 4:3 and square, lying and standing. Few, because a provider may
# compile per shape; multiples of 32, because the network halves its input five times.
_CANVASES = ((384, 640), (640, 384), (480, 640), (640, 480), (640, 640))
_STRIDE_PX = 4
# Of two boxes that share more than this of what they cover together, the surer is the face.
_MOST_OVERLAP = 0.3


class FaceLocator:
    """Boxes around faces, and five points in each. Faces from about 10 px of the canvas on are found."""

    def __init__(self, session: Session, min_score: float = 0.5) -> None:
        self.name = session.name
        self.max_batch = gainful_batch(session.provider)
        self._session = session
        self._min_score = min_score

    def warm_up(self) -> None:
        """Run once on every canvas."""
        for height, width in _CANVASES:
            self.locate(np.zeros((height, width, 3), np.uint8))

    def locate(self, image: Image) -> list[Face]:
        """The faces in `image`, the surest first. Raises ModelError where the model does not run, or says nonsense."""
        canvas, scale = _shown(image)
        planes = canvas.transpose(2, 0, 1)[None].astype(np.float32, order="C")
        outputs = self._session.run({self._session.input_name: planes})
        if not np.isfinite(outputs[0]).all():
            raise ModelError(f"{self.name}: gave what is no number")
        found = decode(outputs, self._min_score)
        if not np.isfinite(found).all():
            raise ModelError(f"{self.name}: gave a face that has no place")
        return [_face(row, scale) for row in _apart(found, self._min_score)]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()


def decode(outputs: Sequence[Floats], min_score: float) -> NDArray[np.float64]:
    """What CenterFace says of a picture, N x 15: left, top, width, height in pixels of its input, score, points.

    The outputs: heat 1 x 1 x h x w; sizes, offsets 1 x 2 x h x w, the vertical one first; landmarks 1 x 10 x h x w,
    five times y and x in parts of the box. The formula: `decode` of https://github.com/Star-Clouds/CenterFace.
    """
    heat, sizes, offsets, landmarks = (output[0].astype(np.float64) for output in outputs)
    rows, columns = np.nonzero(heat[0] >= min_score)
    with np.errstate(over="ignore"):  # the caller refuses what is infinite
        high, wide = np.exp(sizes[:, rows, columns]) * _STRIDE_PX
    down, along = offsets[:, rows, columns]
    with np.errstate(invalid="ignore"):
        left = (columns + along + 0.5) * _STRIDE_PX - wide / 2
        top = (rows + down + 0.5) * _STRIDE_PX - high / 2
        points = landmarks[:, rows, columns].reshape(5, 2, -1)
        xs, ys = points[:, 1] * wide + left, points[:, 0] * high + top
    pairs = np.stack([xs, ys], axis=1).reshape(10, -1)
    return np.vstack([left, top, wide, high, heat[0, rows, columns], pairs]).T


def _apart(found: NDArray[np.float64], min_score: float) -> NDArray[np.float64]:
    """Without those that are the same face as a surer one; the surest first."""
    if not len(found):
        return found
    kept = cv2.dnn.NMSBoxes(found[:, :4].tolist(), found[:, 4].tolist(), min_score / 2, _MOST_OVERLAP)
    return found[np.asarray(kept, np.intp).reshape(-1)]


def _face(row: NDArray[np.float64], scale: tuple[float, float]) -> Face:
    left, top, width, height = (row[:4] / (*scale, *scale)).tolist()
    score = min(float(row[4]), 1.0)
    return Face(left=left, top=top, width=width, height=height, score=score, points=row[5:].reshape(5, 2) / scale)


def _shown(image: Image) -> tuple[Image, tuple[float, float]]:
    """The canvas that shows the picture largest, of equals the cheapest; and its pixels per pixel of the picture.

    A small picture is not enlarged: a face that fills the canvas is found less well.
    """
    height, width = image.shape[:2]
    canvas = max(_CANVASES, key=lambda sides: (_scale(sides, height, width), -sides[0] * sides[1]))
    scale = _scale(canvas, height, width)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.zeros((*canvas, 3), np.uint8)
    pixels[:inner_height, :inner_width] = cv2.resize(image, (inner_width, inner_height), interpolation=cv2.INTER_AREA)
    return pixels, (inner_width / width, inner_height / height)


def _scale(canvas: tuple[int, int], height: int, width: int) -> float:
    return min(canvas[0] / height, canvas[1] / width, 1.0)
