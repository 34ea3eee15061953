"""The detector of objects: NanoDet's knives, bottles and wine glasses, with boxes. Several threads at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from streammon.detect.custom.found import Floats
from streammon.detect.custom.picture import InputPlan, Placement
from streammon.detect.objects.config import REVIEW_FROM, ObjectsConfig
from streammon.detect.objects.places import SIDE_PX
from streammon.detect.objects.reading import Reading, Things
from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source
from streammon.errors import ModelError

_SIZES = (4, 1)
# The shape is kept: stretching it costs found bottles, and tiles find no more knives (docs/accuracy.md).
PLAN = InputPlan(
    height=SIDE_PX, width=SIDE_PX, nchw=True, bgr=True, dtype=np.dtype(np.float32), resize="letterbox",
    interpolation=cv2.INTER_AREA, pad=0, gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0),
)  # fmt: skip


class ObjectsDetector:
    """One detection per thing found. Scores are calibrated: 0.7 is the class's `review_from`."""

    name = "objects"
    parallel = 2

    def __init__(self, session: Session, label_map: Mapping[str, str], config: ObjectsConfig) -> None:
        """`label_map` names the taxonomy's label of each class that has one.

        Raises ModelError where it names a class that the model does not have, or that has no threshold.
        """
        classes = session.metadata.get("labels", "").split(",")
        thresholds = {str(raw): limit for raw, limit in {**REVIEW_FROM, **config.review_from}.items()}
        if unknown := sorted(raw for raw in label_map if raw not in classes or raw not in thresholds):
            raise ModelError(f"{session.name}: has no class {', '.join(unknown)}")
        self.model = session.name
        self.labels = frozenset(label_map.values())
        self.max_batch = gainful_batch(session.provider)
        self._session = session
        self._sizes = tuple(dict.fromkeys((max(self.max_batch, *_SIZES), *_SIZES)))
        self._label_of = tuple(label_map.values())
        self._reading = Reading(
            columns=np.array([classes.index(raw) for raw in label_map], np.intp),
            thresholds=np.array([thresholds[raw] for raw in label_map], np.float32),
            min_score=config.min_score,
            most=config.max_boxes,
        )

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in self._sizes:
            self._run([np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)] * size)

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What is in each frame; boxes are fractions of it. Raises ModelError where the model does not run."""
        found: list[tuple[Detection, ...]] = []
        for batch in batches(frames, self._sizes):
            placed = [PLAN.place(frame.image) for frame in batch]
            read = self._run([picture for picture, _ in placed])
            found += [self._detections(one, at) for one, (_, at) in zip(read, placed, strict=True)]
        return found

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _run(self, pictures: Sequence[Image]) -> list[Things]:
        outputs: Sequence[Floats] = self._session.run({self._session.input_name: PLAN.tensor(pictures)})
        try:
            return self._reading.read(*outputs)
        except ModelError as error:
            raise ModelError(f"{self.model}: {error}") from error

    def _detections(self, found: Things, at: Placement) -> tuple[Detection, ...]:
        boxes = [at.box(corners) for corners in found.corners]
        return tuple(
            Detection(
                detector=self.name,
                model=self.model,
                source=Source.VISUAL,
                label=self._label_of[number],
                score=score,
                box=box,
            )
            for number, score, box in zip(found.classes.tolist(), found.scores.tolist(), boxes, strict=True)
            # In the bars beside the picture there is nothing.
            if box is not None
        )
