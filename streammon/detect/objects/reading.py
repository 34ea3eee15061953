"""What NanoDet's outputs come to: things with calibrated scores and boxes. Pure; any thread."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.calibration import calibrated
from streammon.detect.custom.found import Floats
from streammon.detect.objects.places import centres, corners
from streammon.errors import ModelError

_NMS_IOU = 0.6  # NanoDet's own
# Suppression compares every box with every kept one: a hostile picture must not make that a matter of seconds.
_MOST_CANDIDATES = 300
_POINTS, _STRIDES = centres()


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """n things in one picture, the surest first: class numbers, scores, and x1, y1, x2, y2 in pixels of the input."""

    classes: NDArray[np.intp]
    scores: Floats
    corners: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Which of the model's classes are looked for (`columns`), from which of its scores on each is for review, which
    calibrated score is the least, and how many things are told at most.
    """

    columns: NDArray[np.intp]
    thresholds: Floats
    min_score: float
    most: int

    def read(self, scores: Floats, distances: Floats) -> list[Things]:
        """Of N x places x classes and N x places x 44: one per picture, its `classes` counted in `columns`.

        Raises ModelError where an output is no number.
        """
        sure = calibrated(scores[:, :, self.columns], self.thresholds)
        return [self._of_picture(*outputs) for outputs in zip(sure, distances, strict=True)]

    def _of_picture(self, scores: Floats, distances: Floats) -> Things:
        places, classes = np.nonzero(scores >= self.min_score)
        surest = np.argsort(-scores[places, classes], kind="stable")[:_MOST_CANDIDATES]
        places, classes = places[surest], classes[surest]
        boxes = corners(distances[places], _POINTS[places], _STRIDES[places])
        if not np.isfinite(boxes).all():
            raise ModelError("a box it found is no number")
        found = scores[places, classes]
        kept = _apart(boxes, found, classes)[: self.most]
        return Things(classes=classes[kept], scores=found[kept], corners=boxes[kept])


def _apart(boxes: Floats, scores: Floats, classes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which to keep of boxes of one class that overlap, in the order in which they came, the surest first."""
    if not len(boxes):
        return np.empty(0, np.intp)
    sized = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    picked = cv2.dnn.NMSBoxesBatched(sized, scores, classes.astype(np.int32), 0.0, _NMS_IOU)  # type: ignore[arg-type]
    return np.sort(np.asarray(picked, np.intp).ravel())
