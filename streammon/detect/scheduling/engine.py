"""The engine: shows frames to detectors, in batches, in several threads, and tells what came of each.

The dispatcher's thread takes frames from the sources, the workers' threads run batches, either tells the listener. One
condition guards all that changes (`shared`); what lies below it knows of no lock and no thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from streammon.detect.config import DetectConfig, DetectorSchedule
from streammon.detect.detector import Detector
from streammon.detect.runtime.cores import usable_cores
from streammon.detect.scheduling.admission import Admission
from streammon.detect.scheduling.dispatcher import GIVE_UP_AT, TICK_S, Dispatcher, Limits
from streammon.detect.scheduling.gates import Gates
from streammon.detect.scheduling.lane import Lane
from streammon.detect.scheduling.load import Load
from streammon.detect.scheduling.request import FrameSource, Listener, RequestClass
from streammon.detect.scheduling.scheduler import Scheduler
from streammon.detect.scheduling.shared import Hooks, Shared
from streammon.detect.scheduling.workers import Crew
from streammon.detect.scheduling.working import Work
from streammon.errors import StreammonError

log = logging.getLogger(__name__)

_ALIVE_S = 30.0


class Engine:
    """Examines what the sources have. A detector that fails costs its own observations, never the others'.

    It holds few frames: enough for full batches and busy workers. All others wait in the sources, whose owners drop
    what is overdue, so that no queue grows here.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        sources: Mapping[RequestClass, FrameSource],
        listener: Listener,
        config: DetectConfig,
        hooks: Hooks | None = None,
    ) -> None:
        """Raises StreammonError without detectors, and where one waits for another that is not there."""
        if not detectors:
            raise StreammonError("no detector is switched on: there is nothing to examine")
        settings = config.engine
        lanes = [Lane(one, config.schedule.get(one.name, DetectorSchedule()), settings) for one in detectors]
        gates = Gates({name: one.only_if for name, one in config.schedule.items()}, [lane.name for lane in lanes])
        if unmatched := sorted(set(config.schedule) - {lane.name for lane in lanes}):
            log.warning("detect.schedule names detectors that are not switched on: %s", ", ".join(unmatched))
        workers = settings.workers if settings.workers is not None else usable_cores() + 1
        enough = max(2 * max(lane.max_batch for lane in lanes), workers)
        inside = settings.max_in_flight if settings.max_in_flight is not None else enough
        self._longest_s = _ALIVE_S + GIVE_UP_AT * max(lane.max_seconds for lane in lanes)
        self._admission = Admission(sources, settings.review_share)
        self._load = Load(workers, [lane.parallel for lane in lanes])
        self._shared = Shared(Scheduler(lanes, gates, settings), listener, hooks if hooks is not None else Hooks())
        self._crew = Crew(workers, Work(self._shared))
        limits = Limits(in_flight=inside, given_up=settings.max_given_up)
        self._dispatcher = Dispatcher(self._shared, self._admission, self._crew, self._load, limits)

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """In the order of the observations."""
        with self._shared.changed:
            return self._shared.scheduler.detectors()

    @property
    def failure(self) -> StreammonError | None:
        """Why the engine has stopped by itself; None while it has not."""
        return self._shared.failure

    @property
    def given_up(self) -> int:
        """Threads that hang in a detector and were replaced."""
        with self._shared.changed:
            return len(self._crew.given_up())

    @property
    def alive(self) -> bool:
        """Whether dispatcher and workers go round."""
        now_s = self._shared.hooks.clock()
        with self._shared.changed:
            going = self._dispatcher.thread.is_alive() and now_s - self._dispatcher.round_s < _ALIVE_S
            return self._shared.failure is None and going and self._crew.alive(now_s - self._longest_s)

    def warm_up(self) -> None:
        """Makes every detector ready to answer at its usual speed. Before `start`. Raises what a detector raises."""
        for detector in self.detectors:
            started_s = self._shared.hooks.clock()
            detector.warm_up()
            took_s = self._shared.hooks.clock() - started_s
            log.info("detector %s (%s) ready after %.1f s", detector.name, detector.model, took_s)

    def start(self) -> None:
        """Starts the threads."""
        now_s = self._shared.hooks.clock()
        self._dispatcher.round_s = now_s
        self._crew.start(now_s)
        self._dispatcher.thread.start()

    def replace(self, name: str, detector: Detector) -> Detector:
        """From its next batch on the detector of this name is another, which is warm and has the same name. Any thread.

        Batches that run end with the one before, which is returned and is the caller's to close once it is not in use.
        If it was disabled, the new one is not. Raises KeyError where no detector has the name.
        """
        with self._shared.changed:
            before = self._shared.scheduler.replace(name, detector)
            self._shared.wake()
        self._shared.tell()
        return before

    def in_use(self, detector: Detector) -> bool:
        """Whether a batch of this detector runs or hangs; one that was replaced will have none at some time."""
        with self._shared.changed:
            hung = (worker.batch for worker in self._crew.given_up())
            return self._shared.scheduler.runs(detector) or any(one and one.detector is detector for one in hung)

    def wake(self) -> None:
        """A source has something new. Any thread; takes the engine's lock for an instant."""
        with self._shared.changed:
            self._shared.wake()

    def saturation(self) -> float:
        """Work that came in the last 10 s by work that could be done in them; above 1 in overload. See `Load`."""
        with self._shared.changed:
            return self._load.saturation()

    def inside(self) -> int:
        """Frames that are inside."""
        with self._shared.changed:
            return len(self._shared.scheduler.inflight)

    def holds(self, room_id: str, session: int) -> bool:
        """Whether live frames of a room are inside that came in this session or in an earlier one.

        True as well while any frame is on its way from a source. Ask the source first, then the engine, and a frame
        cannot slip through between the two.
        """
        with self._shared.changed:
            return self._shared.taking or self._shared.scheduler.inflight.holds(room_id, session)

    def drain(self, timeout_s: float) -> bool:
        """Waits until nothing waits in the sources and nothing is inside. False where that did not come in time."""
        until_s = time.monotonic() + timeout_s
        while True:
            waiting = self._admission.waiting()
            with self._shared.changed:
                if not (waiting or self._shared.taking or len(self._shared.scheduler.inflight)):
                    return True
                left_s = until_s - time.monotonic()
                if left_s <= 0 or self._shared.failure is not None:
                    return False
                self._shared.changed.wait(min(left_s, TICK_S))

    def close(self, timeout_s: float = 10.0) -> bool:
        """Ends the threads and lets go of all models; nobody is told of what is still inside, so drain first.

        False where a thread did not end in time; its detector then keeps its model. May be called twice.
        """
        self._shared.stop()
        until_s = time.monotonic() + timeout_s
        if self._dispatcher.thread.ident is not None:
            self._dispatcher.thread.join(timeout_s)
        ended = self._crew.join(max(0.0, until_s - time.monotonic())) and not self._dispatcher.thread.is_alive()
        with self._shared.changed:
            left = [*self._crew.running(), *self._crew.given_up()]
            in_use = {worker.batch.detector for worker in left if worker.batch is not None}
        for detector in self.detectors:
            if detector not in in_use:
                detector.close()
        return ended and not left
