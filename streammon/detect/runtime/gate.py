"""A provider's gate: so many runs at once and no more, and for how long it was busy. Used by every thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Gate:
    """A counting semaphore that measures."""

    def __init__(self, permits: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`permits` is how many runs may go on at once; `clock` is monotonic, in seconds."""
        self.permits = permits
        self._free = threading.BoundedSemaphore(permits)
        self._clock = clock
        self._lock = threading.Lock()
        self._running = 0
        self._busy_s = 0.0
        self._counted_until_s = clock()

    @contextmanager
    def hold(self, timeout_s: float) -> Iterator[bool]:
        """One permit, or False where none came free in time."""
        if not self._free.acquire(timeout=max(0.0, timeout_s)):
            yield False
            return
        self._count(1)
        try:
            yield True
        finally:
            self._count(-1)
            self._free.release()

    def busy_s(self) -> float:
        """Seconds for which permits were held, all added up, those held now included.

        Its growth over some seconds, by those seconds times `permits`, is the provider's utilisation, 0..1.
        """
        return self._count(0)

    def _count(self, more: int) -> float:
        with self._lock:
            now_s = self._clock()
            self._busy_s += self._running * (now_s - self._counted_until_s)
            self._counted_until_s = now_s
            self._running += more
            return self._busy_s
