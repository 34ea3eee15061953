"""The detector of naked parts: NudeNet, a YOLOv8 of 18 classes, of which five are reported. Several threads at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from streammon.detect.custom.classes import Classes
from streammon.detect.custom.detector import Runner
from streammon.detect.custom.found import Found
from streammon.detect.custom.graph import python_literal
from streammon.detect.custom.heads import V8, Boxes
from streammon.detect.custom.picture import InputPlan, Placement
from streammon.detect.nsfw.config import NudityConfig
from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source
from streammon.errors import ModelError

_SIDE_PX = 320
_NMS_IOU = 0.45
_LEAST = 0.25  # with _NMS_IOU what NudeNet itself uses
_PREFIX = "pornography.exposure."
# NudeNet's own: pixels / 255, black around what is not square.
_PLAN = InputPlan(
    height=_SIDE_PX, width=_SIDE_PX, nchw=True, bgr=False, dtype=np.dtype(np.float32), resize="letterbox",
    interpolation=cv2.INTER_LINEAR, pad=0, gain=(1 / 255, 1 / 255, 1 / 255), offset=(0.0, 0.0, 0.0),
)  # fmt: skip


class NudityDetector:
    """One detection, with its box, per naked part; what is covered raises nothing."""

    name = "nudity"
    parallel = 2

    def __init__(self, session: Session, label_map: Mapping[str, str], config: NudityConfig) -> None:
        """`label_map` names the taxonomy's label of each class that is reported.

        Raises ModelError where it names a class that the model does not have.
        """
        self.model = session.name
        self.labels = frozenset(label_map.values())
        self.max_batch = gainful_batch(session.provider)
        self._runner = Runner(session=session, plan=_PLAN, sizes=tuple(dict.fromkeys((self.max_batch, 1))))
        self._classes = _classes(session, label_map, config)
        self._head = V8(
            boxes=Boxes(classes=self._classes, unit=(1.0, 1.0), most=config.max_boxes, sigmoid=False, nms_iou=_NMS_IOU)
        )

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in self._runner.sizes:
            self._found(self._runner.blank(size))

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The naked parts in each frame. Raises ModelError where the model does not run, or says no probability."""
        return [
            found
            for batch in batches(frames, self._runner.sizes)
            for found in self._batch([frame.image for frame in batch])
        ]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._runner.session.close()

    def _batch(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        placed = [_PLAN.place(image) for image in images]
        read = self._found([picture for picture, _ in placed])
        return [self._detections(found, placement) for found, (_, placement) in zip(read, placed, strict=True)]

    def _found(self, pictures: Sequence[Image]) -> list[Found]:
        outputs = self._runner.run(pictures)
        wanted = (len(pictures), 4 + len(self._classes.names))
        if outputs[0].ndim != 3 or outputs[0].shape[:2] != wanted:
            raise ModelError(f"{self.model}: says {outputs[0].shape}, not {wanted[0]} x {wanted[1]} x boxes")
        try:
            return self._head.read(outputs, len(pictures))
        except ModelError as error:
            raise ModelError(f"{self.model}: {error}") from error

    def _detections(self, found: Found, placement: Placement) -> tuple[Detection, ...]:
        boxes = [] if found.corners is None else [placement.box(corners) for corners in found.corners]
        return tuple(
            Detection(
                detector=self.name,
                model=self.model,
                source=Source.VISUAL,
                label=self._classes.labels[number],
                score=score,
                box=box,
            )
            for number, score, box in zip(found.classes.tolist(), found.scores.tolist(), boxes, strict=True)
            if box is not None  # None lies in the black around the picture
        )


def _classes(session: Session, label_map: Mapping[str, str], config: NudityConfig) -> Classes:
    noted = python_literal(session.metadata.get("names", ""))
    names = tuple(str(name) for name in noted.values()) if isinstance(noted, dict) else ()
    if missing := [name for name in label_map if name not in names]:
        raise ModelError(f"{session.name}: has no class {', '.join(missing)}; its classes are {', '.join(names)}")
    least = {f"{_PREFIX}{part}": score for part, score in config.min_score.items()}
    floor = np.full(len(names), np.inf, np.float32)
    for name, label in label_map.items():
        floor[names.index(name)] = least.get(label, _LEAST)
    return Classes(names=names, labels={names.index(name): label for name, label in label_map.items()}, floor=floor)
