"""How long to wait before trying again: exponential back-off with full jitter."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Any time between nothing and a bound that doubles with every failure, from `first_s` up to `cap_s` seconds.

    From AWS Architecture Blog, "Exponential Backoff And Jitter" (2015). `draw` gives 0..1.
    """

    first_s: float = 0.2
    cap_s: float = 10.0
    draw: Callable[[], float] = random.random

    def delay_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row, from 1."""
        # 2 ** 30 is far beyond any cap, and still a float.
        return self.draw() * min(self.cap_s, self.first_s * 2.0 ** min(failures - 1, 30))
