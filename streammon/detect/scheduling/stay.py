"""For how long frames are inside the engine. Pure; its owner holds the lock."""

from __future__ import annotations

import math
from collections import deque

# Of so many frames: some seconds on a CPU, where frames take long, and less on a GPU, where they do not.
_LATELY = 64
_SHARE = 0.95


class Stay:
    """`most_s` is the time within which 95 of 100 of the last 64 frames were done; 0 before the first.

    No mean, and no average that decays: whoever lets in frames by it has as many of them late as stay longer.
    """

    def __init__(self) -> None:
        self.most_s = 0.0
        self._lately: deque[float] = deque(maxlen=_LATELY)

    def note(self, stay_s: float) -> None:
        """A frame is done."""
        self._lately.append(stay_s)
        self.most_s = sorted(self._lately)[math.ceil(_SHARE * len(self._lately)) - 1]
