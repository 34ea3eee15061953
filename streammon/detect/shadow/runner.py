"""Shows a share of the live frames to a model on trial, beside the engine. On a thread of its own.

It never makes anybody wait: what comes while the engine is busy, or faster than the candidate looks, is passed over.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Lock, Thread

from streammon.detect.detector import Detector, Found
from streammon.detect.scheduling.request import Cost, Examined, RequestClass, examined_by
from streammon.detect.scheduling.running import Runtime, look
from streammon.detect.shadow.comparison import Comparison
from streammon.detect.shadow.report import Compared
from streammon.entities import Observation, Outcome

_log = logging.getLogger(__name__)

_MAX_WAITING = 8
_BUSY = 0.9
_MAX_FAILURES = 5
_POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a trial is run.

    `share` of the frames that the current model has examined are shown, 0..1. `gates` are the detectors whose finds the
    candidate is told, and `max_seconds` is what one look may take.
    """

    share: float
    gates: tuple[str, ...] = ()
    max_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a trial works with and tells.

    `saturation` is the engine's, see `Engine.saturation`. `seen` gets each look of the candidate, `counted` what came
    of each frame (compared, passed_over, failed), `given_up` why the trial has ended by itself: all on its own thread,
    but for `counted`, which is called by who offers as well.
    """

    runtime: Runtime
    saturation: Callable[[], float]
    seen: Callable[[Observation], None]
    counted: Callable[[str], None]
    given_up: Callable[[str], None]


class ShadowRunner:
    """One trial. The candidate is the caller's to close, after `close` has returned True.

    `failure` is why it has ended by itself, None while it has not.
    """

    def __init__(self, candidate: Detector, terms: Terms, around: Surroundings) -> None:
        self._candidate = candidate
        self._terms = terms
        self._around = around
        self._comparison = Comparison()
        self._lock = Lock()
        self._waiting: Queue[Examined] = Queue(_MAX_WAITING)
        self._ending = Flag()
        self._offered = 0
        self.failure: str | None = None
        self._thread = Thread(target=self._run, name=f"shadow-{candidate.name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def offer(self, examined: Examined) -> None:
        """A frame has been judged. One thread's; never waits."""
        if self._ending.is_set() or self._looked(examined) is None:
            return
        self._offered += 1
        share = self._terms.share
        if math.floor(self._offered * share) == math.floor((self._offered - 1) * share):
            return
        if self._around.saturation() > _BUSY:
            self._pass_over()
            return
        try:
            self._waiting.put_nowait(examined)
        except Full:
            self._pass_over()

    def compared(self) -> Compared:
        """What the trial comes to so far. Any thread."""
        with self._lock:
            return self._comparison.compared()

    def end(self) -> None:
        """It takes no more frames, and looks at none that wait."""
        self._ending.set()

    def close(self, timeout_s: float) -> bool:
        """Ends the thread. False where it did not in time, and the candidate is in use. May be called twice."""
        self.end()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _pass_over(self) -> None:
        with self._lock:
            self._comparison.passed_over()
        self._around.counted("passed_over")

    def _looked(self, examined: Examined) -> Observation | None:
        """The current model's fresh look; where its gates found nothing it did not run, though nothing is there."""
        name = self._candidate.name
        if examined.request.request_class is not RequestClass.LIVE or name not in examined.cost:
            return None
        looks = (one for one in examined.observations if one.detector == name and one.outcome is Outcome.EXAMINED)
        return next(looks, None)

    def _run(self) -> None:
        failures = 0
        try:
            while not self._ending.is_set():
                try:
                    examined = self._waiting.get(timeout=_POLL_S)
                except Empty:
                    continue
                why = self._look(examined)
                failures = 0 if why is None else failures + 1
                if why is not None and failures == _MAX_FAILURES:
                    self._give_up(f"it failed on {failures} frames in a row: {why}")
        except Exception as error:  # noqa: BLE001 - the thread's top frame
            _log.exception("the trial of detector %s stops by a fault of our own", self._candidate.name)
            self._give_up(f"a fault of our own, {type(error).__name__}; the log says where")

    def _give_up(self, why: str) -> None:
        self.failure = why
        self.end()
        self._around.given_up(why)

    def _look(self, examined: Examined) -> str | None:
        """Why it failed, None where it did not."""
        frame, current = examined.request.frame, self._looked(examined)
        if current is None:
            return None
        runtime, cpu_s = self._around.runtime, time.thread_time()
        provider_s = runtime.used_s()
        try:
            with runtime.limit(self._terms.max_seconds):
                (found,) = look(self._candidate, [frame], [_found(examined, self._terms.gates)])
        except Exception as error:  # noqa: BLE001 - whatever a candidate does, its frame is lost and no more
            with self._lock:
                self._comparison.failed()
            self._around.counted("failed")
            return f"{type(error).__name__}: {error}"
        cost = Cost(cpu_s=time.thread_time() - cpu_s, provider_s=runtime.used_s() - provider_s)
        seen = examined_by(self._candidate, frame, found)
        with self._lock:
            self._comparison.add(current, seen, (examined.cost[current.detector], cost))
        self._around.counted("compared")
        self._around.seen(seen)
        return None


def _found(examined: Examined, gates: Sequence[str]) -> Found:
    return {one.detector: one.detections for one in examined.observations if one.detector in gates and one.detections}
