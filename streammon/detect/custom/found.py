"""What a model's outputs come to, before it is told in labels: class numbers, scores, boxes. Pure; any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streammon.errors import ModelError

Floats = NDArray[np.float32]
Outputs = Sequence[NDArray[Any]]
"""A run's outputs, in the graph's order."""

_EPSILON = 1e-3  # half precision and a softmax's sum leave a score a hair above 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """n things in one picture. `corners` is n x 4 (x1, y1, x2, y2 in pixels of the input), None for the whole."""

    classes: NDArray[np.intp]
    scores: Floats
    corners: Floats | None = None

    def surest(self, most: int) -> Found:
        """At most so many, the surest first."""
        order = np.argsort(-self.scores, kind="stable")[:most]
        corners = None if self.corners is None else self.corners[order]
        return Found(classes=self.classes[order], scores=self.scores[order], corners=corners)


class Head(Protocol):
    """How to read a model's outputs. Immutable, so any number of threads may use it."""

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:
        """One per picture of the batch that was run, what is below its class's floor left out. Raises ModelError."""


def sigmoid(values: Floats) -> Floats:
    """`1 / (1 + e^-x)`, in the form that does not overflow."""
    chances: Floats = np.float32(0.5) * (np.tanh(np.float32(0.5) * values) + np.float32(1))
    return chances


def softmax(values: Floats) -> Floats:
    """Over the last axis, in the form that does not overflow."""
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    chances: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return chances


def probabilities(scores: Floats, cure: str) -> Floats:
    """`scores`, which must be 0..1. Raises ModelError, ending in `cure`, where they are not, or not numbers."""
    if scores.size and not (scores.min() >= -_EPSILON and scores.max() <= 1 + _EPSILON):
        raise ModelError(f"its scores go from {scores.min():.3g} to {scores.max():.3g}, not from 0 to 1: {cure}")
    return scores.clip(0.0, 1.0)
