"""So many restarts within a time, and no more. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class RestartBudget:
    """At most `most` within `within_s` seconds."""

    most: int
    within_s: float
    _spent: deque[float] = field(default_factory=deque)

    def __len__(self) -> int:
        """How many there were within the time, as of the last."""
        return len(self._spent)

    def spend(self, now_s: float) -> bool:
        """One more, at `now_s` on a monotonic clock. Whether it is within the budget."""
        while self._spent and now_s - self._spent[0] > self.within_s:
            self._spent.popleft()
        self._spent.append(now_s)
        return len(self._spent) <= self.most

    def __str__(self) -> str:
        return f"{self.most} times in {self.within_s:g} s"
