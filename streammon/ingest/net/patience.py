"""When waiting is over: at a stop, and at a deadline that many waits share.

Waiting happens in short steps, since nothing else wakes a thread out of a socket or from behind another thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from streammon.errors import SourceStopped

_STEP_S = 0.2


class Patience:
    """One connection's waits. Of one thread."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._until_s = float("inf")

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All that is waited for in here comes within so many seconds; what is in force already still holds."""
        before_s = self._until_s
        self._until_s = min(before_s, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._until_s = before_s

    def deadline(self, timeout_s: float | None) -> float:
        """When a wait that may take `timeout_s` (None: for ever) is over, on the monotonic clock."""
        return min(self._until_s, time.monotonic() + (timeout_s if timeout_s is not None else float("inf")))

    def check(self, until_s: float) -> None:
        """Raises SourceStopped after a stop, TimeoutError after `until_s`."""
        if self._stop.is_set():
            raise SourceStopped("the room is being stopped")
        if time.monotonic() >= until_s:
            raise TimeoutError("timed out")

    def wait_for(self, happened: Event, until_s: float) -> None:
        """Returns once it has happened. Raises what `check` raises."""
        while not happened.wait(step_s(until_s)):
            self.check(until_s)


def step_s(until_s: float) -> float:
    """How long one wait may last before a stop and the deadline are looked at again, in seconds."""
    return max(0.0, min(_STEP_S, until_s - time.monotonic()))
