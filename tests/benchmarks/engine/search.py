"""Looks for the largest number of rooms that holds, with few tries, since each takes a minute."""

from __future__ import annotations

import math
from collections.abc import Callable

_STEP = 1.5


def largest(holds: Callable[[int], bool], first: int, tries: int) -> int:
    """The largest number found to hold, 0 where even 1 does not.

    From `first` in steps of half as many again until one fails (or down until one holds), then by halves between. Ends
    after `tries`, or where what is left between lies within a twentieth.
    """
    good, bad, number = 0, math.inf, max(first, 1)
    for _ in range(tries):
        if holds(number):
            good = number
        else:
            bad = number
        if bad - good <= max(1.0, good / 20):
            break
        number = _next(good, bad)
    return good


def _next(good: int, bad: float) -> int:
    if math.isinf(bad):
        return math.ceil(good * _STEP)
    if good == 0:
        return max(1, math.floor(bad / _STEP))
    return (good + int(bad)) // 2
