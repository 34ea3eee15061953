"""DETR-style outputs: class logits and boxes per query, without suppression. Pure; any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streammon.detect.custom.classes import Classes
from streammon.detect.custom.config import CustomDetr
from streammon.detect.custom.found import Floats, Found, Head, Outputs, sigmoid, softmax
from streammon.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Detr:
    """Logits N x Q x K and boxes N x Q x 4 (centre x, y, width, height as fractions of the input).

    With softmax a query is its best class, and the class for nothing, `background`, takes part in the softmax (DETR,
    Conditional DETR). With sigmoid each class of a query stands for itself (RT-DETR, D-FINE, RF-DETR).
    `size` is the input's width and height in pixels.
    """

    classes: Classes
    logits: int
    boxes: int
    softmax: bool
    background: Literal["first", "last"] | None
    size: tuple[int, int]
    most: int

    def read(self, outputs: Outputs, pictures: int) -> list[Found]:
        """As `Head.read`."""
        scores = self._scores(outputs[self.logits].astype(np.float32, copy=False))
        boxes = outputs[self.boxes].astype(np.float32, copy=False)
        return [self._picture(scores[i], boxes[i]) for i in range(pictures)]

    def _scores(self, logits: Floats) -> Floats:
        if not np.isfinite(logits).all():
            raise ModelError("its logits are not numbers; try another provider, or a float32 export")
        scores = softmax(logits) if self.softmax else sigmoid(logits)
        if self.background is None:
            return scores
        return scores[..., 1:] if self.background == "first" else scores[..., :-1]

    def _picture(self, scores: Floats, boxes: Floats) -> Found:
        likely = scores >= self.classes.floor
        if self.softmax:
            likely &= scores == scores.max(axis=1, keepdims=True)
        queries, numbers = np.nonzero(likely)
        scale = np.array(self.size, np.float32)
        centre, half = boxes[queries, :2] * scale, boxes[queries, 2:] * scale / 2
        corners = np.concatenate([centre - half, centre + half], axis=1)
        return Found(classes=numbers, scores=scores[queries, numbers], corners=corners).surest(self.most)


def choose_detr(
    config: CustomDetr, names: Sequence[str], outputs: Outputs, classes: Classes, size: tuple[int, int], where: str
) -> Head:
    """Settles which output is which, and what the scores are, by a trial run. Raises ModelError where that fails."""
    shown = ", ".join(f"{name} ({' x '.join(map(str, o.shape))})" for name, o in zip(names, outputs, strict=True))
    boxes, logits = _places(names, outputs, f"{where}.file", shown)
    extra = outputs[logits].shape[2] - len(classes.names)
    if extra not in {0, 1}:
        raise ModelError(
            f"{where}.labels: names {len(classes.names)} classes, and {shown} has {extra + len(classes.names)}, "
            "or one less and a background"
        )
    as_softmax = config.activation == "softmax" or (config.activation == "auto" and extra == 1)
    background = config.background or ("last" if as_softmax else None)
    if (background is not None) != (extra == 1):
        told = "there is none" if extra == 0 else "set first or last"
        raise ModelError(
            f"{where}.background: {told}: {shown} has {extra} class more than the {len(classes.names)} of `labels`"
        )
    return Detr(
        classes=classes,
        logits=logits,
        boxes=boxes,
        softmax=as_softmax,
        background=background,
        size=size,
        most=config.max_boxes,
    )


def _places(names: Sequence[str], outputs: Outputs, place: str, shown: str) -> tuple[int, int]:
    """Of boxes and of logits: N x Q x 4, and N x Q x K."""
    fours = [p for p, output in enumerate(outputs) if output.ndim == 3 and output.shape[2] == 4]
    if len(fours) > 1:  # four classes: only the name tells
        fours = [p for p in fours if "box" in names[p].lower() or names[p] == "dets"]
    if len(fours) == 1:
        query = outputs[fours[0]].shape[:2]
        rest = [p for p, o in enumerate(outputs) if p != fours[0] and o.ndim == 3 and o.shape[:2] == query]
        if len(rest) == 1:
            return fours[0], rest[0]
    raise ModelError(f"{place}: logits (N x queries x classes) and boxes (N x queries x 4) are needed, it has {shown}")
