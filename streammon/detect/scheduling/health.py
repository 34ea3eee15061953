"""Whether a detector may go on: a budget of failures, a rest that grows, and one frame to try it again. Pure."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from streammon.detect.config import EngineConfig


class _State(Enum):
    ENABLED = auto()
    DISABLED = auto()
    TRYING = auto()


class Health:
    """One detector's. Times are a monotonic clock's seconds."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._state = _State.ENABLED
        self._failures: deque[float] = deque(maxlen=config.max_failures)
        self._until_s = 0.0
        self._enabled_s = 0.0
        self._rest_s = 0.0

    @property
    def enabled(self) -> bool:
        """Whether it is not disabled. One that is being tried is disabled still."""
        return self._state is _State.ENABLED

    @property
    def resting(self) -> bool:
        """Whether it is disabled and not being tried."""
        return self._state is _State.DISABLED

    def may_look(self, now_s: float) -> bool:
        """Whether a frame may be shown to it, were there one."""
        return self.enabled or (self.resting and now_s >= self._until_s)

    def show(self) -> None:
        """A frame is going to be shown to it, which it may. Of one that is disabled this is the trial."""
        if not self.enabled:
            self._state = _State.TRYING

    def unshown(self) -> None:
        """The frame was not shown after all. The next one may be."""
        if self._state is _State.TRYING:
            self._state = _State.DISABLED

    def succeeded(self, now_s: float) -> bool:
        """It answered. True where that enables it again."""
        if self._state is not _State.TRYING:
            return False
        self._state, self._enabled_s = _State.ENABLED, now_s
        self._failures.clear()
        return True

    def failed(self, now_s: float, weight: int = 1) -> bool:
        """It failed on a frame, which counts as `weight` failures. True where that disables it now."""
        self._failures.extend([now_s] * weight)
        if self._state is _State.TRYING:
            self._rest(now_s)
            return False
        if not self.enabled or not self._spent(now_s):
            return False
        if now_s - self._enabled_s > self._config.failure_window + self._rest_s:
            self._rest_s = 0.0  # it worked for long enough that this is another story
        self._rest(now_s)
        return True

    def _spent(self, now_s: float) -> bool:
        full = len(self._failures) == self._config.max_failures
        return full and now_s - self._failures[0] <= self._config.failure_window

    def _rest(self, now_s: float) -> None:
        longer_s = 2 * self._rest_s if self._rest_s else self._config.disabled_for
        self._rest_s = min(longer_s, self._config.disabled_at_most)
        self._state, self._until_s = _State.DISABLED, now_s + self._rest_s
