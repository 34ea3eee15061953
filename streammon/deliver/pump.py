"""The thread that moves what the outbox holds to one place, and goes on trying where the place fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

from streammon.backoff import Backoff
from streammon.deliver.bell import Bell
from streammon.deliver.outbox import Outbox
from streammon.errors import StreammonError

log = logging.getLogger(__name__)

IDLE_S = 60.0
"""How long an idle pump sleeps at most; news wakes it at once."""


class PumpState(StrEnum):
    """What a pump is doing. `closed` is final."""

    DELIVERING = "delivering"
    WAITING = "waiting"
    CLOSED = "closed"


class Moved(Enum):
    """What a step has moved of what there was, as far as it knows."""

    NOTHING = "nothing"
    PART = "part"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpStatus:
    """A pump's state; while it is waiting, why, and how many tries in a row have failed."""

    state: PumpState
    reason: str | None = None
    failures: int = 0


class Pump:
    """Calls `step` on its own thread, named `name`, whenever there is `news`, until closed.

    `step` moves one batch and is called again at once where that was a part; it raises a StreammonError where the place
    fails, which puts the pump into `waiting` until a later try succeeds. Having moved all, the pump rests for `rest_s`
    seconds: what comes meanwhile is moved together. One log line per change of state.
    """

    def __init__(
        self, name: str, step: Callable[[], Moved], news: Outbox | Bell, backoff: Backoff, *, rest_s: float = 0.0
    ) -> None:
        self._name = name
        self._step = step
        self._news = news
        self._backoff = backoff
        self._rest_s = rest_s
        self._stop = threading.Event()
        self._nudge = threading.Event()
        self._status = PumpStatus(state=PumpState.DELIVERING)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def status(self) -> PumpStatus:
        """What it is doing."""
        return self._status

    def start(self) -> None:
        """Start the thread. Once."""
        self._thread.start()

    def hurry(self) -> None:
        """Look again now instead of when the back-off, or a rest, is over."""
        self._nudge.set()

    def close(self, timeout_s: float = 15.0) -> bool:
        """Stop after the batch under way; False where that took longer than `timeout_s`. May be called twice."""
        self._stop.set()
        self._nudge.set()
        self._news.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            # Read before the look at the stop event: close() sets that first and then wakes, so one of both is seen.
            version = self._news.version
            if self._stop.is_set():
                break
            try:
                moved = self._step()
            except StreammonError as error:
                self._wait_out(str(error))
            except Exception as error:
                if self._status.state is not PumpState.WAITING:
                    log.exception("%s: failed in a way nobody foresaw", self._name)
                self._wait_out(f"{type(error).__name__}, see the log")
            else:
                self._recovered()
                if moved is Moved.ALL:
                    self._rest()
                if moved is not Moved.PART:
                    self._news.wait(version, IDLE_S)
        self._status = PumpStatus(state=PumpState.CLOSED)

    def _wait_out(self, reason: str) -> None:
        if self._status.state is not PumpState.WAITING:
            log.warning("%s: waiting, nothing is lost: %s", self._name, reason)
        failures = self._status.failures + 1
        self._status = PumpStatus(state=PumpState.WAITING, reason=reason, failures=failures)
        self._nudge.wait(self._backoff.delay_s(failures))
        self._nudge.clear()

    def _rest(self) -> None:
        if self._rest_s:
            self._nudge.wait(self._rest_s)
            self._nudge.clear()

    def _recovered(self) -> None:
        if self._status.state is PumpState.WAITING:
            log.info("%s: delivering again", self._name)
            self._status = PumpStatus(state=PumpState.DELIVERING)
