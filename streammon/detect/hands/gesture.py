"""The detector of gestures: finds hands, tells what the large ones show. Several of the engine's threads at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.detect.hands.config import GestureConfig
from streammon.detect.hands.locator import HandLocator, pixels
from streammon.detect.runtime.batches import batches
from streammon.detect.runtime.session import Session
from streammon.entities import Detection, Frame, Image, Source
from streammon.errors import ModelError

_SIDE_PX = 128
_BLANK: Image = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
_SIZES = (4, 1)


class GestureDetector:
    """A detection per hand and labelled gesture. Its score is how surely it is a hand, times how surely the gesture."""

    name = "gesture"
    parallel = 2

    def __init__(
        self, hands: Session, gestures: Session, classes: Sequence[str], label_map: Mapping[str, str],
        config: GestureConfig,
    ) -> None:  # fmt: skip
        """`classes` are the classifier's, in order; `label_map` has the taxonomy's label of each that has one.

        Raises ModelError where the classifier has another number of classes.
        """
        self.model = gestures.name
        self.labels = frozenset(label_map.values())
        self._columns = {classes.index(raw): label for raw, label in label_map.items()}
        self._classes = len(classes)
        self._sessions = (hands, gestures)
        self._locator = HandLocator(hands, config.min_hand_score)
        self._gestures = gestures
        self._config = config

    def warm_up(self) -> None:
        """Run once in every shape."""
        self._locator.find(_BLANK)
        for size in _SIZES:
            self._probabilities([_BLANK] * size)

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What the hands in each frame show. Raises ModelError where a model does not run."""
        return [self._look(frame.image) for frame in frames]

    def close(self) -> None:
        """Let go of the models. May be called twice."""
        for session in self._sessions:
            session.close()

    def _look(self, image: Image) -> tuple[Detection, ...]:
        large = [hand for hand in self._locator.find(image) if hand.side_px >= self._config.min_hand_px]
        hands = large[: self._config.max_hands]
        if not hands:
            return ()
        crops = [hand.square(image) for hand in hands]
        chances = np.concatenate([self._probabilities(list(batch)) for batch in batches(crops, _SIZES)])
        scored = [
            (label, hand.score * float(row[column]), hand)
            for hand, row in zip(hands, chances, strict=True)
            for column, label in self._columns.items()
        ]
        return tuple(
            Detection(
                detector=self.name,
                model=self.model,
                source=Source.VISUAL,
                label=label,
                score=min(score, 1.0),
                box=hand.box(image),
            )
            for label, score, hand in scored
            if score >= self._config.min_score
        )

    def _probabilities(self, crops: list[Image]) -> NDArray[np.float32]:
        """N x classes."""
        blob = pixels(crops, (_SIDE_PX, _SIDE_PX))
        logits = self._gestures.run({self._gestures.input_name: blob})[0]
        if logits.shape != (len(crops), self._classes) or not np.isfinite(logits).all():
            shape = " x ".join(map(str, logits.shape))
            raise ModelError(f"{self.model}: answers {shape} for {len(crops)} x {self._classes}, or no numbers")
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: NDArray[np.float32] = raised / raised.sum(axis=1, keepdims=True)
        return chances
