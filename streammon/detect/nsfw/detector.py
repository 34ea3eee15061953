"""The classifier of pornography: one or two nets on whole frames, and their verdict. Several threads at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from streammon.detect.nsfw.config import NsfwConfig
from streammon.detect.nsfw.nsfwjs import Nsfwjs
from streammon.detect.nsfw.open_nsfw import OpenNsfw
from streammon.detect.nsfw.verdict import LABELS, verdict
from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source

_SIZES = (4, 1)
_BLANK_PX = 64


class NsfwDetector:
    """One detection per label whose score is at least `min_score`: two labels for a drawing, two for a photograph.

    `streammon.detect.nsfw.verdict` has what the scores mean.
    """

    name = "nsfw"
    parallel = 2
    labels = LABELS

    def __init__(self, first: Session, second: Session | None, config: NsfwConfig) -> None:
        """`second` is None without a second voice. Raises ModelError where a model is not what it stands for."""
        self.model = first.name if second is None else f"{first.name}+{second.name}"
        self.max_batch = gainful_batch(first.provider)
        self._first = Nsfwjs(first)
        self._second = None if second is None else OpenNsfw(second)
        self._sizes = tuple(dict.fromkeys((max(self.max_batch, *_SIZES), *_SIZES)))
        self._min_score = config.min_score

    def warm_up(self) -> None:
        """Run each model once in every batch size."""
        for size in self._sizes:
            self._scores([np.zeros((_BLANK_PX, _BLANK_PX, 3), np.uint8)] * size)

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What each frame shows as a whole. Raises ModelError where a model does not run, or says no probability."""
        return [
            self._detections(scores)
            for batch in batches(frames, self._sizes)
            for scores in self._scores([frame.image for frame in batch])
        ]

    def close(self) -> None:
        """Let go of the models. May be called twice."""
        self._first.close()
        if self._second is not None:
            self._second.close()

    def _scores(self, images: Sequence[Image]) -> list[Mapping[str, float]]:
        """By label, for each picture."""
        shares = self._first.shares(images)
        chances = [None] * len(images) if self._second is None else self._second.chances(images)
        return [verdict(first, second) for first, second in zip(shares, chances, strict=True)]

    def _detections(self, scores: Mapping[str, float]) -> tuple[Detection, ...]:
        return tuple(
            Detection(detector=self.name, model=self.model, source=Source.VISUAL, label=label, score=score)
            for label, score in scores.items()
            if score >= self._min_score
        )
