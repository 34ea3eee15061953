"""A classifier's output: one score per class for the whole picture. Pure; any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from streammon.detect.custom.classes import Classes
from streammon.detect.custom.config import CustomClassifier
from streammon.detect.custom.found import Floats, Found, Head, Outputs, probabilities, sigmoid, softmax
from streammon.errors import ModelError

Activation = Literal["softmax", "sigmoid", "none"]
_ENDS = {"Softmax", "Sigmoid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """N x C, or N x C x 1 x 1. Every class that is sure enough is found, not only the best."""

    classes: Classes
    activation: Activation

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:
        """As `Head.read`, without boxes."""
        scores = self._scores(outputs[0].reshape(len(outputs[0]), -1).astype(np.float32, copy=False))
        return [self._picture(scores[i]) for i in range(pictures)]

    def _scores(self, raw: Floats) -> Floats:
        if self.activation == "softmax":
            raw = softmax(raw)
        elif self.activation == "sigmoid":
            raw = sigmoid(raw)
        return probabilities(raw, "set `activation: softmax` or `sigmoid` if they are logits")

    def _picture(self, scores: Floats) -> Found:
        (numbers,) = np.nonzero(scores >= self.classes.floor)
        return Found(classes=numbers, scores=scores[numbers])


def choose_classifier(config: CustomClassifier, last_op: str, outputs: Outputs, classes: Classes, where: str) -> Head:
    """Settles the activation. `outputs` is a trial run's. Raises ModelError where the output is no N x C."""
    count, shape = len(classes.names), outputs[0].shape
    shown = " x ".join(map(str, shape))
    if len(outputs) != 1 or len(shape) < 2 or any(size != 1 for size in shape[2:]):
        raise ModelError(
            f"{where}.file: a classifier has one output, N x classes; it has {len(outputs)}, first {shown}"
        )
    if shape[1] != count:
        raise ModelError(f"{where}.labels: names {count} classes, but the output is {shown}: it has {shape[1]}")
    activation: Activation = config.activation if config.activation != "auto" else _settled(last_op)
    if activation == "softmax" and count == 1:
        raise ModelError(f"{where}.activation: softmax over one class is always 1; set sigmoid or none")
    return ClassScores(classes=classes, activation=activation)


def _settled(last_op: str) -> Activation:
    return "none" if last_op in _ENDS else "softmax"
