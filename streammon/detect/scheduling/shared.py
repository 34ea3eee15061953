"""What the engine's threads share: the lock, the scheduler below it, and the way to the listener."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition

from streammon.detect.scheduling.request import Listener, Reuse
from streammon.detect.scheduling.running import NoRuntime, Runtime
from streammon.detect.scheduling.scheduler import Scheduler
from streammon.errors import StreammonError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What else the engine works with. `clock` is monotonic, in seconds: that of the frames' deadlines."""

    runtime: Runtime = field(default_factory=NoRuntime)
    reuse: Reuse | None = None
    clock: Callable[[], float] = time.monotonic


class Shared:
    """`changed` guards `scheduler` and all that is said here; what is told is told without it.

    `woken`: the dispatcher has something to look at. `taking`: it is about to bring in a frame.
    """

    def __init__(self, scheduler: Scheduler, listener: Listener, hooks: Hooks) -> None:
        self.changed = Condition()
        self.scheduler = scheduler
        self.listener = listener
        self.hooks = hooks
        self.woken = False
        self.taking = False
        self.stopping = False
        self.failure: StreammonError | None = None

    def wake(self) -> None:
        """There is something to do. The caller holds the lock."""
        self.woken = True
        self.changed.notify_all()

    def stop(self) -> None:
        """All threads are to end."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()

    def tell(self) -> None:
        """Tells the listener what there is to tell, in this thread."""
        while True:
            with self.changed:
                changes = list(self.scheduler.changes)
                self.scheduler.changes.clear()
                frame = self.scheduler.inflight.take()
            for change in changes:
                if change.why is not None:
                    self.listener.detector_disabled(change.detector, change.why)
                else:
                    self.listener.detector_enabled(change.detector)
            if frame is None:
                return
            self.listener.examined(frame.examined())
            with self.changed:
                self.scheduler.inflight.told(frame)
                self.wake()

    def fall(self, who: str, error: Exception) -> None:
        """A thread's top frame has caught a fault of ours."""
        log.error("a fault of the engine's own, in %s", who, exc_info=error)
        self.fail(StreammonError(f"the engine stopped by a fault of its own, in {who}; the log says where"))

    def fail(self, failure: StreammonError) -> None:
        """The engine stops by itself, and says so once."""
        with self.changed:
            first = self.failure is None
            self.failure = self.failure or failure
            self.stopping = True
            self.changed.notify_all()
        if first:
            log.error("the engine stops: %s", failure)
            self.listener.failed(failure)
