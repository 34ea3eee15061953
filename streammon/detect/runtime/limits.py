"""What each thread's runs may take, and have taken. A thread of its own ends the runs that take too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_IDLE_S = 60.0
_JOIN_S = 5.0


class Endable(Protocol):
    """A run that ends with an error soon after `terminate` is set, as ONNX Runtime's RunOptions promise."""

    terminate: bool


class _Thread(threading.local):
    deadline_s: float | None = None
    used_s: float = 0.0


class RunLimits:
    """One per runtime. Limits nest: the earliest counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._own = _Thread()
        self._changed = threading.Condition()
        self._running: dict[Endable, float] = {}
        self._watchdog: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Within it, this thread's runs are ended once so much time has passed."""
        before = self._own.deadline_s
        deadline_s = self._clock() + seconds
        self._own.deadline_s = deadline_s if before is None else min(before, deadline_s)
        try:
            yield
        finally:
            self._own.deadline_s = before

    def left_s(self) -> float | None:
        """What is left to this thread, not above 0 where its time is up; None without a limit."""
        deadline_s = self._own.deadline_s
        return None if deadline_s is None else deadline_s - self._clock()

    def used_s(self) -> float:
        """Seconds that this thread's runs have taken so far."""
        return self._own.used_s

    @contextmanager
    def watched(self, run: Endable) -> Iterator[None]:
        """Within it, `run` goes on: it is timed, and ended at this thread's limit."""
        started_s = self._clock()
        deadline_s = self._own.deadline_s
        if deadline_s is not None:
            self._watch(run, deadline_s)
        try:
            yield
        finally:
            if deadline_s is not None:
                with self._changed:
                    self._running.pop(run, None)
            self._own.used_s += self._clock() - started_s

    def close(self) -> None:
        """End the watchdog's thread. May be called twice; runs that go on are not ended any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            watchdog = self._watchdog
        if watchdog is not None:
            watchdog.join(_JOIN_S)

    def end_overdue(self) -> float:
        """End what is past its limit; the seconds until there may be more to end."""
        with self._changed:
            now_s = self._clock()
            for run in [run for run, deadline_s in self._running.items() if deadline_s <= now_s]:
                run.terminate = True
                del self._running[run]
            return min(self._running.values(), default=now_s + _IDLE_S) - now_s

    def _watch(self, run: Endable, deadline_s: float) -> None:
        with self._changed:
            first = deadline_s < min(self._running.values(), default=float("inf"))
            self._running[run] = deadline_s
            if self._watchdog is None and not self._closed:
                self._watchdog = threading.Thread(target=self._go_round, name="run-limits", daemon=True)
                self._watchdog.start()
            elif first:
                self._changed.notify()

    def _go_round(self) -> None:
        # The lock, which nests, is held from looking until waiting, so that no change falls between.
        with self._changed:
            while not self._closed:
                self._changed.wait(self.end_overdue())
