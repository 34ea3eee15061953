"""How much there is to do, against how much can be done. Pure; its owner holds the lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

_WINDOW_S = 10.0
_SAMPLE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What has come about since the start: frames that arrived and that were admitted, and each lane's busy seconds."""

    at_s: float
    arrived: int
    admitted: int
    busy_s: tuple[float, ...]


class Load:
    """Keeps the totals of about the last 10 s."""

    def __init__(self, workers: int, parallel: Sequence[int]) -> None:
        """`parallel` says for each lane how many of its batches may run at once."""
        self._workers = workers
        self._parallel = tuple(parallel)
        self._samples: deque[Totals] = deque()

    def note(self, totals: Totals) -> None:
        """To be called often; what comes within a second of the last sample is passed over."""
        if self._samples and totals.at_s - self._samples[-1].at_s < _SAMPLE_EVERY_S:
            return
        self._samples.append(totals)
        while len(self._samples) > 2 and totals.at_s - self._samples[1].at_s >= _WINDOW_S:
            self._samples.popleft()

    def saturation(self) -> float:
        """Work that comes in, by work that can be done: 0 is idle, 1 is all that can be done, 2 is twice that.

        It is the busy share of the tightest place (a lane against its parallel batches, or all lanes against the
        workers), times the frames that arrived per frame that was admitted: one that was dropped would have meant as
        much work as one that was not. So it is above 1 only where frames are dropped. 0 before the first two seconds.
        """
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        busy_s = [after - before for before, after in zip(first.busy_s, last.busy_s, strict=True)]
        lanes = zip(busy_s, self._parallel, strict=True)
        tightest_s = max([sum(busy_s) / self._workers, *(one_s / parallel for one_s, parallel in lanes)])
        came = max(last.arrived - first.arrived, last.admitted - first.admitted)
        return tightest_s / (last.at_s - first.at_s) * came / max(1, last.admitted - first.admitted)
