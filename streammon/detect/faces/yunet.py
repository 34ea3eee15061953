"""Finds faces in a picture: YuNet, a smaller network than CenterFace. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.custom.picture import InputPlan, Placement
from streammon.detect.faces.face import Face
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

Floats = NDArray[np.float32]

_SIDE_PX = 640
_STRIDES_PX = (8, 16, 32)
# What OpenCV's FaceDetectorYN has for the same.
_MOST_OVERLAP = 0.3
_MOST = 5000
_BLANK: Image = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
_PLAN = InputPlan(
    height=_SIDE_PX, width=_SIDE_PX, nchw=True, bgr=True, dtype=np.dtype(np.float32), resize="letterbox",
    interpolation=cv2.INTER_LINEAR, pad=0, gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0),
)  # fmt: skip


class YuNetLocator:
    """Boxes around faces, and five points in each. Faces from about 10 px of the 640 px canvas on are found."""

    def __init__(self, session: Session, min_score: float = 0.8) -> None:
        self.name = session.name
        self.max_batch = 1
        self._session = session
        self._min_score = min_score

    def warm_up(self) -> None:
        """Run once."""
        self.locate(_BLANK)

    def locate(self, image: Image) -> list[Face]:
        """The faces in `image`, the surest first. Raises ModelError where the model does not run, or says nonsense."""
        placed, placement = _PLAN.place(image)
        outputs = self._session.run({self._session.input_name: _PLAN.tensor([placed])})
        try:
            found = decode(outputs, self._min_score)
        except ValueError as error:
            raise ModelError(f"{self._session.name}: has no YuNet head: {error}") from error
        if not np.isfinite(found).all():
            raise ModelError(f"{self._session.name}: gave what is no number")
        return [_face(row, placement) for row in _apart(found, self._min_score)]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()


def decode(outputs: Sequence[Floats], min_score: float) -> Floats:
    """What YuNet's twelve outputs for one picture say, n x 15: left, top, width, height, five points, score.

    Pixels are of its input. The outputs are class, objectness, box and points, each at three strides; a score is the
    root of class times objectness. The formula is that of OpenCV, modules/objdetect/src/face_detect.cpp. A row that has
    no number is kept. Raises ValueError where the outputs are others.
    """
    if len(outputs) != 4 * len(_STRIDES_PX):
        raise ValueError(f"it has {len(outputs)} outputs, not {4 * len(_STRIDES_PX)}")
    levels = enumerate(_STRIDES_PX)
    return np.concatenate([_decoded(outputs[level::3], stride_px, min_score) for level, stride_px in levels])


def _decoded(head: Sequence[Floats], stride_px: int, min_score: float) -> Floats:
    kind, thing, boxes, points = head
    side = _SIDE_PX // stride_px
    if [one.shape[-2:] for one in head] != [(side * side, n) for n in (1, 1, 4, 10)]:
        raise ValueError(f"its outputs at stride {stride_px} are of another size")
    scores = np.sqrt(kind.reshape(-1).clip(0, 1) * thing.reshape(-1).clip(0, 1))
    likely = np.flatnonzero(~(scores < min_score))
    cells = np.stack([likely % side, likely // side], axis=1).astype(np.float32)
    box, five = boxes.reshape(-1, 4)[likely], points.reshape(-1, 10)[likely]
    sizes = np.exp(box[:, 2:].clip(max=20)) * stride_px
    corners = (box[:, :2] + cells) * stride_px - sizes / 2
    places = (five + np.tile(cells, 5)) * stride_px
    found: Floats = np.concatenate([corners, sizes, places, scores[likely, None]], axis=1)
    return found


def _apart(found: Floats, min_score: float) -> Floats:
    """The surest of those that overlap, the surest first."""
    kept = cv2.dnn.NMSBoxes(found[:, :4].tolist(), found[:, 14].tolist(), min_score, _MOST_OVERLAP, top_k=_MOST)
    return found[np.asarray(kept, np.intp).reshape(-1)]


def _face(row: Floats, placement: Placement) -> Face:
    shift = np.array([placement.left_px, placement.top_px])
    scale = np.array([placement.scale_x, placement.scale_y])
    left, top = (row[:2] - shift) / scale
    width, height = row[2:4] / scale
    return Face(
        left=float(left),
        top=float(top),
        width=float(width),
        height=float(height),
        score=min(float(row[14]), 1.0),
        points=(row[4:14].astype(np.float64).reshape(5, 2) - shift) / scale,
    )
