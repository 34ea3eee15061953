"""The heads of YOLO exports: how boxes, scores and classes stand in their outputs. Pure; any thread.

With C classes, A anchors, K kept boxes, and corners as x1, y1, x2, y2:

- `v5`: N x A x (5 + C): centre x, centre y, width, height, objectness, class scores. YOLOv5, YOLOv7, YOLOX (decoded).
- `v8`: N x (4 + C) x A: the same without objectness, on its side. YOLOv8, v9, v11, v12.
- `end_to_end`: N x K x 6: corners, score, class. YOLOv10, YOLO26, and Ultralytics' `nms=True`.
- `flat_nms`: K x 7 for the whole batch, or N x K x 7: picture number, corners, class, score. YOLOv7's `--end2end`.
- `efficient_nms`: four outputs: counts N x 1, corners N x K x 4, scores N x K, classes N x K. TensorRT's plug-in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.custom.classes import Classes
from streammon.detect.custom.found import Floats, Found, Outputs, probabilities, sigmoid
from streammon.errors import ModelError

# Suppression compares every box with every kept one: a hostile picture must not make that a matter of seconds.
_MOST_CANDIDATES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What all heads share: classes, what a box's unit comes to in pixels (x, y), and how many are reported."""

    classes: Classes
    unit: tuple[float, float]
    most: int
    sigmoid: bool
    nms_iou: float

    def scores(self, raw: NDArray[Any]) -> Floats:
        """Probabilities of what the graph puts out. Raises ModelError where they are none."""
        values = raw.astype(np.float32, copy=False)
        if self.sigmoid:
            return sigmoid(values)
        return probabilities(values, "set `activation: sigmoid` if they are logits, or another `head`")

    def kept(self, corners: NDArray[Any], scores: Floats, numbers: NDArray[Any]) -> Found:
        """Those above their class's floor, in pixels. Raises ModelError for a class that has no name."""
        classes = numbers.astype(np.intp)
        if classes.size and not 0 <= classes.min() <= classes.max() < len(self.classes.names):
            odd = classes.max() if classes.min() >= 0 else classes.min()
            raise ModelError(f"it reports class {odd}, but `labels` names {len(self.classes.names)} classes, from 0")
        keep = np.flatnonzero((scores >= self.classes.floor[classes]) & (scores > 0))
        scale = np.array(self.unit * 2, np.float32)
        kept = corners[keep].astype(np.float32) * scale
        return Found(classes=classes[keep], scores=scores[keep], corners=kept)

    def suppressed(self, found: Found) -> Found:
        """The surest of boxes of one class that overlap, by greedy non-maximum suppression within each class."""
        found = found.surest(_MOST_CANDIDATES)
        if found.corners is None or not found.scores.size:
            return found
        sized = np.concatenate([found.corners[:, :2], found.corners[:, 2:] - found.corners[:, :2]], axis=1)
        # A box that is no number would make OpenCV's order of boxes undefined.
        sane = np.flatnonzero(np.isfinite(sized).all(axis=1))
        classes = found.classes[sane].astype(np.int32)
        picked = cv2.dnn.NMSBoxesBatched(sized[sane], found.scores[sane], classes, 0.0, self.nms_iou)  # type: ignore[arg-type]
        kept = sane[np.asarray(picked, np.intp).ravel()]
        return Found(classes=found.classes[kept], scores=found.scores[kept], corners=found.corners[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class V5:
    """N x A x (5 + C); see the module."""

    boxes: Boxes

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:  # noqa: ARG002
        """As `Head.read`. A box's score is its objectness times its best class's."""
        return [self._picture(rows) for rows in outputs[0]]

    def _picture(self, rows: NDArray[Any]) -> Found:
        objectness = self.boxes.scores(rows[:, 4])
        # No product is above its objectness: most anchors need no look at their classes.
        likely = np.flatnonzero(objectness >= self.boxes.classes.least)
        scores = self.boxes.scores(rows[likely, 5:])
        best = scores.argmax(axis=1)
        joint = objectness[likely] * np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
        found = self.boxes.kept(_corners(rows[likely, :4]), joint, best)
        return self.boxes.suppressed(found).surest(self.boxes.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class V8:
    """N x (4 + C) x A; see the module."""

    boxes: Boxes

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:  # noqa: ARG002
        """As `Head.read`. A box is of its best class."""
        return [self._picture(columns) for columns in outputs[0]]

    def _picture(self, columns: NDArray[Any]) -> Found:
        scores = self.boxes.scores(columns[4:])
        best = scores.argmax(axis=0)
        surest = np.take_along_axis(scores, best[None], axis=0)[0]
        likely = np.flatnonzero(surest >= self.boxes.classes.least)
        found = self.boxes.kept(_corners(columns[:4, likely].T), surest[likely], best[likely])
        return self.boxes.suppressed(found).surest(self.boxes.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndToEnd:
    """N x K x 6; see the module."""

    boxes: Boxes

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:  # noqa: ARG002
        """As `Head.read`."""
        return [self._picture(_used(rows, 4)) for rows in outputs[0]]

    def _picture(self, rows: NDArray[Any]) -> Found:
        return self.boxes.kept(rows[:, :4], self.boxes.scores(rows[:, 4]), rows[:, 5]).surest(self.boxes.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatNms:
    """K x 7 or N x K x 7; see the module."""

    boxes: Boxes

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:
        """As `Head.read`. Rows of a picture that there is not, such as -1, fill up."""
        if outputs[0].ndim == 3:
            return [self._picture(rows) for rows in outputs[0]]
        return [self._picture(outputs[0][outputs[0][:, 0] == number]) for number in range(pictures)]

    def _picture(self, rows: NDArray[Any]) -> Found:
        used = _used(rows, 6)
        return self.boxes.kept(used[:, 1:5], self.boxes.scores(used[:, 6]), used[:, 5]).surest(self.boxes.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficientNms:
    """Four outputs; see the module. `order` says where counts, corners, scores and classes stand among them."""

    boxes: Boxes
    order: tuple[int, int, int, int]

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:  # noqa: ARG002
        """As `Head.read`."""
        counts, corners, scores, classes = (outputs[position] for position in self.order)
        return [
            self.boxes.kept(corners[i, :n], self.boxes.scores(scores[i, :n]), classes[i, :n]).surest(self.boxes.most)
            for i, n in enumerate(counts.ravel().tolist())
        ]


def _used(rows: NDArray[Any], score: int) -> NDArray[Any]:
    """Without the rows that only fill up: their score is 0 or less. A score that is no number is not passed over."""
    return rows[~(rows[:, score] <= 0)]


def _corners(centred: NDArray[Any]) -> Floats:
    """n x (centre x, centre y, width, height) as n x (x1, y1, x2, y2)."""
    values = centred.astype(np.float32)
    half = values[:, 2:] / 2
    return np.concatenate([values[:, :2] - half, values[:, :2] + half], axis=1)
