"""Rung when there is news of one kind, for those who sleep until then. Any thread."""

from __future__ import annotations

import threading


class Bell:
    """Counts its rings, so that nobody who looks for work between two of them misses one.

    `lock` is that of what the news is about, and reentrant: whoever changes it rings before letting go of it.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._rung = threading.Condition(lock)
        self._version = 0

    @property
    def version(self) -> int:
        """Changes with every ring. Read it before looking for work, then `wait` for it to change."""
        with self._rung:
            return self._version

    def wait(self, version: int, timeout_s: float) -> None:
        """Sleep until it was rung since `version` was read, or time is up."""
        with self._rung:
            self._rung.wait_for(lambda: self._version != version, timeout_s)

    def wake(self) -> None:
        """Ring: let everybody who waits look again."""
        with self._rung:
            self._version += 1
            self._rung.notify_all()
