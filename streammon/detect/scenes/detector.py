"""The detector of scenes: what whole pictures show, by classes that ship and by heads of the operator's own.

Several of the engine's threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streammon.detect.calibration import calibrated
from streammon.detect.runtime.session import Session
from streammon.detect.scenes.classes import Group, load_groups
from streammon.detect.scenes.config import ScenesConfig
from streammon.detect.scenes.embedding import Embedder, Floats, placed
from streammon.detect.scenes.heads import load_heads
from streammon.entities import Detection, Frame, Source
from streammon.errors import ModelError


class ScenesDetector:
    """One detection per label of the classes, and one per head; scores are calibrated, so that 0.7 is for review.

    A head's detection is called by the model and the head.
    """

    name = "scenes"
    parallel = 2

    def __init__(self, session: Session, config: ScenesConfig) -> None:
        """Raises HeadUnusable where a head cannot be run on this model."""
        self._heads = load_heads(config.heads, session.sha256)
        self._groups = tuple(group for group in load_groups() if group.label not in config.off)
        self.model = session.name
        self.labels = frozenset(group.label for group in self._groups) | frozenset(self._heads.labels)
        self._session = session
        self._embedder = Embedder(session)
        self.max_batch = self._embedder.max_batch
        self._min_score = config.min_score
        thresholds = [config.review_from.get(group.label, group.review_from) for group in self._groups]
        self._thresholds = np.array(thresholds, np.float32)
        heads = [
            (f"{session.name}/{name}", label) for name, label in zip(self._heads.names, self._heads.labels, strict=True)
        ]
        self._columns = [*((session.name, group.label) for group in self._groups), *heads]

    def warm_up(self) -> None:
        """Run once in every batch size."""
        self._embedder.warm_up()

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What each frame shows as a whole. Raises ModelError where the model does not run."""
        probabilities, embeddings = self._embedder.run([placed(frame.image) for frame in frames])
        try:
            of_groups = calibrated(_summed(probabilities, self._groups), self._thresholds)
        except ModelError as error:
            raise ModelError(f"{self.model}: {error}") from error
        scores = np.concatenate([of_groups, self._heads.scores(embeddings)], axis=1)
        return [self._detections(row) for row in scores]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _detections(self, row: Floats) -> tuple[Detection, ...]:
        return tuple(
            Detection(detector=self.name, model=model, source=Source.VISUAL, label=label, score=score)
            for (model, label), score in zip(self._columns, row.tolist(), strict=True)
            if score >= self._min_score
        )


def _summed(probabilities: Floats, groups: Sequence[Group]) -> Floats:
    """N x groups: the classes exclude one another, so a group is as likely as all of its classes together."""
    sums = [probabilities[:, list(group.classes)].sum(axis=1) for group in groups]
    return np.stack(sums, axis=1) if sums else np.empty((len(probabilities), 0), np.float32)
