"""How good a head is by what it said of pictures it had not been shown, and from which score on to trust it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959963984540054  # of 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`hits` of `n`."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """0..1; 0 of nothing."""
        return self.hits / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval by Wilson (1927), 0..1; all of it where n is 0."""
        if self.n == 0:
            return 0.0, 1.0
        square = _Z * _Z
        middle = (self.value + square / (2 * self.n)) / (1 + square / self.n)
        spread = self.value * (1 - self.value) / self.n + square / (4 * self.n * self.n)
        reach = _Z / (1 + square / self.n) * math.sqrt(spread)
        return max(0.0, middle - reach), min(1.0, middle + reach)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Of the pictures at or above `threshold`, how many are positive; of the positive, how many are there."""

    threshold: float
    precision: Share
    recall: Share


def assessed(scores: NDArray[np.float64], positive: NDArray[np.bool_], threshold: float) -> Assessment:
    """At a threshold."""
    found = scores >= threshold
    right = int((found & positive).sum())
    return Assessment(
        threshold=threshold,
        precision=Share(hits=right, n=int(found.sum())),
        recall=Share(hits=right, n=int(positive.sum())),
    )


def suggested(scores: NDArray[np.float64], positive: NDArray[np.bool_], precision: float) -> Assessment:
    """At the threshold that finds most while it is at least so precise (0..1); else where it is most precise.

    Thresholds lie in the middle between two scores, so that the pictures beside them are not right on the edge.
    """
    levels = np.unique(scores)
    edges = [float(levels[0]) - 1.0, *((levels[1:] + levels[:-1]) / 2).tolist()]
    tried = [assessed(scores, positive, edge) for edge in edges]
    precise = [one for one in tried if one.precision.value >= precision]
    if precise:
        return max(precise, key=lambda one: (one.recall.hits, one.precision.value))
    return max(tried, key=lambda one: (one.precision.value, one.recall.hits))
