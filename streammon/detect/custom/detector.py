"""The detector that runs an operator's own model. Stateless but for the session: any number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streammon.detect.custom.classes import Classes
from streammon.detect.custom.found import Found, Head, Outputs
from streammon.detect.custom.picture import InputPlan, Placement
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source
from streammon.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs pictures in batches of the sizes that `sizes` lists, which fall; the last is filled up where it must be."""

    session: Session
    plan: InputPlan
    sizes: tuple[int, ...]

    def run(self, pictures: Sequence[Image]) -> Outputs:
        """The outputs for as many placed pictures as one of `sizes`. Raises ModelError."""
        return self.session.run({self.session.input_name: self.plan.tensor(pictures)})

    def blank(self, count: int) -> list[Image]:
        """Grey pictures, to try the model with."""
        return [np.full((self.plan.height, self.plan.width, 3), 114, np.uint8)] * count


class CustomDetector:
    """One detection per thing found whose class the configuration maps to a label."""

    parallel = 2

    def __init__(self, name: str, runner: Runner, head: Head, classes: Classes, where: str) -> None:
        """`where` is the section that configures it, for what goes wrong."""
        self.name = name
        self.model = runner.session.name
        self.labels = frozenset(classes.labels.values())
        self.max_batch = runner.sizes[0]
        self._runner = runner
        self._head = head
        self._classes = classes
        self._where = where

    def warm_up(self) -> None:
        """Run once in every batch size."""
        for size in self._runner.sizes:
            self._found(self._runner.blank(size), size)

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What is in each frame; boxes are fractions of the frame. Raises ModelError where the model does not run."""
        found: list[tuple[Detection, ...]] = []
        while len(found) < len(frames):
            left = len(frames) - len(found)
            size = next((size for size in self._runner.sizes if size <= left), self._runner.sizes[-1])
            found += self._batch(frames[len(found) : len(found) + size], size)
        return found

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._runner.session.close()

    def _batch(self, frames: Sequence[Frame], size: int) -> list[tuple[Detection, ...]]:
        placed = [self._runner.plan.place(frame.image) for frame in frames]
        pictures = [picture for picture, _ in placed] + self._runner.blank(size - len(frames))
        read = self._found(pictures, len(frames))
        return [self._detections(one, placement) for one, (_, placement) in zip(read, placed, strict=True)]

    def _found(self, pictures: Sequence[Image], wanted: int) -> list[Found]:
        outputs = self._runner.run(pictures)
        try:
            return self._head.read(outputs, len(pictures))[:wanted]
        except ModelError as error:
            raise ModelError(f"{self._where}: {error}") from error

    def _detections(self, found: Found, placement: Placement) -> tuple[Detection, ...]:
        boxes = [None] * len(found.scores) if found.corners is None else [placement.box(c) for c in found.corners]
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
            # A box beyond the frame's edge, in the letterbox's bars, is none.
            if box is not None or found.corners is None
        )
