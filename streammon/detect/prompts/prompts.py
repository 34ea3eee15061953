"""The detector that holds a picture against sentences: CLIP's image tower. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pictures

from streammon.detect.prompts.sentences import Floats, embeddings
from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source
from streammon.errors import ModelError

_SIDE_PX = 224
# Of the pictures that CLIP was trained on; from OpenAI's CLIP, clip/clip.py.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
# exp of CLIP's learned temperature, which its training held at this.
_LOGIT_SCALE = 100.0
_SIZES = (4, 1)
_BLANK: Image = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One label: the first `prompts` of the vectors, n x d of length 1, speak for it, the others against it."""

    label: str
    vectors: Floats
    prompts: int

    def score(self, picture: Floats) -> float:
        """How likely it is that one of the label's sentences describes the picture (d, of length 1), 0..1."""
        logits = _LOGIT_SCALE * (self.vectors @ picture)
        raised = np.exp(logits - logits.max())
        return min(float(raised[: self.prompts].sum() / raised.sum()), 1.0)


class PromptsDetector:
    """A detection per label that is likely enough, of the whole picture (its middle square)."""

    name = "prompts"
    parallel = 2

    def __init__(self, session: Session, questions: Sequence[Question], min_score: float) -> None:
        self.model = session.name
        self.labels = frozenset(question.label for question in questions)
        self.max_batch = gainful_batch(session.provider)
        self._sizes = tuple(dict.fromkeys((max(self.max_batch, *_SIZES), *_SIZES)))
        self._session = session
        self._questions = questions
        self._min_score = min_score

    def warm_up(self) -> None:
        """Run once in every batch size. Raises ModelError where pictures' and sentences' vectors do not go together."""
        for size in self._sizes:
            length = self._embedded([_BLANK] * size).shape[1]
            if odd := next((one for one in self._questions if one.vectors.shape[1] != length), None):
                raise ModelError(
                    f"{self.model}: its vectors have {length} numbers, {odd.label}'s {odd.vectors.shape[1]}"
                )

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What each frame shows as a whole. Raises ModelError where the model does not run."""
        return [
            self._detections(picture)
            for batch in batches(frames, self._sizes)
            for picture in self._embedded([frame.image for frame in batch])
        ]

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _embedded(self, images: Sequence[Image]) -> Floats:
        blob = np.stack([pixels(image) for image in images])
        return embeddings(self._session, self._session.run({self._session.input_name: blob}), len(images))

    def _detections(self, picture: Floats) -> tuple[Detection, ...]:
        scores = [(question.label, question.score(picture)) for question in self._questions]
        return tuple(
            Detection(detector=self.name, model=self.model, source=Source.VISUAL, label=label, score=score)
            for label, score in scores
            if score >= self._min_score
        )


def pixels(image: Image) -> Floats:
    """The middle square of H x W x 3 uint8 RGB as CLIP's input, 3 x 224 x 224: bicubic, smoothed where it shrinks."""
    height, width = image.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    # Cut and resized in one step: the other way round a very long picture would become enormous.
    resized = Pictures.fromarray(image).resize(
        (_SIDE_PX, _SIDE_PX), Pictures.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    scaled: Floats = (np.asarray(resized, np.float32) / np.float32(255) - _MEAN) / _STD
    return scaled.transpose(2, 0, 1)
