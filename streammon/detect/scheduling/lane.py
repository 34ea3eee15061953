"""A lane: the frames that wait for one detector, and its batches that run. Pure; its owner holds the lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from streammon.detect.config import DetectorSchedule, EngineConfig
from streammon.detect.detector import Detector, Found, max_batch_of, parallel_of
from streammon.detect.scheduling.health import Health
from streammon.detect.scheduling.inflight import Admitted

# Share of the newest run in the moving average of what a frame takes.
_NEWEST = 0.2
# Nobody waits longer than this for those that are more urgent: a review has no deadline, and takes a place inside.
_PATIENCE_S = 2.0


@dataclass(slots=True, kw_only=True, eq=False)
class Batch:
    """Frames that a detector is shown at once, and what the gates of each found.

    `detector` is its lane's when it started, whatever that is by now. `given_up`: it did not come back in time, and
    nobody waits for it.
    """

    lane: Lane
    detector: Detector
    frames: tuple[Admitted, ...]
    started_s: float
    found: tuple[Found, ...] = ()
    given_up: bool = False

    @property
    def current(self) -> bool:
        """Whether its detector is its lane's still."""
        return self.detector is self.lane.detector


@dataclass(frozen=True, slots=True)
class _Waiting:
    frame: Admitted
    since_s: float

    @property
    def wanted_s(self) -> float:
        return min(self.frame.request.frame.deadline_s, self.since_s + _PATIENCE_S)


class Lane:
    """One detector's: first come, first served, but what failed in company goes first, and alone."""

    def __init__(self, detector: Detector, schedule: DetectorSchedule, engine: EngineConfig) -> None:
        self.detector = detector
        self.name = detector.name
        self.every_s = schedule.every
        self.max_seconds = schedule.max_seconds
        self.max_batch = max_batch_of(detector) if schedule.max_batch is None else schedule.max_batch
        self.parallel = parallel_of(detector) if schedule.parallel is None else schedule.parallel
        self.health = Health(engine)
        self.failing = False
        self.seconds_per_frame = 0.0
        self._schedule = schedule
        self._engine = engine
        self._alone: deque[_Waiting] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._running: list[Batch] = []
        self._busy_s = 0.0

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._alone) + len(self._waiting)

    @property
    def runnable(self) -> bool:
        """Whether a batch may start now."""
        return len(self) > 0 and len(self._running) < self.parallel

    def urgency(self, now_s: float) -> tuple[bool, float, float]:
        """The least goes first: of batches that are full or have waited, before those that may still grow, the one with
        the most urgent frame; of those equally urgent the cheapest, so that a cascade runs from cheap to dear.
        """
        first = self._next()
        waited = now_s - min(one.since_s for one in first) >= self._engine.max_wait
        ripe = waited or bool(self._alone) or len(first) >= self.max_batch
        return not ripe, min(one.wanted_s for one in first), self.seconds_per_frame

    def replace(self, detector: Detector) -> Detector:
        """From its next batch on the lane has this detector, whose health starts anew. Returns the one before.

        Whatever it gains from, no more of its batches run at once than of the one before: the engine counts on that.
        """
        before, self.detector = self.detector, detector
        self.max_batch = max_batch_of(detector) if self._schedule.max_batch is None else self._schedule.max_batch
        self.health = Health(self._engine)
        self.failing = False
        return before

    def put(self, frame: Admitted, now_s: float) -> None:
        """A frame waits for the detector from now on."""
        self._waiting.append(_Waiting(frame, now_s))

    def put_alone(self, frames: Iterable[Admitted], now_s: float) -> None:
        """Frames that are to be tried once more, each by itself."""
        self._alone.extend(_Waiting(frame, now_s) for frame in frames)

    def start(self, now_s: float) -> Batch:
        """Starts a batch of what waits. The lane is runnable."""
        first = self._next()
        queue = self._alone or self._waiting
        for _ in first:
            queue.popleft()
        frames = tuple(one.frame for one in first)
        batch = Batch(lane=self, detector=self.detector, frames=frames, started_s=now_s)
        self._running.append(batch)
        return batch

    def end(self, batch: Batch, now_s: float) -> None:
        """A batch has come back, or was given up."""
        self._running.remove(batch)
        took_s = now_s - batch.started_s
        self._busy_s += took_s
        each_s = took_s / len(batch.frames)
        known_s = self.seconds_per_frame
        self.seconds_per_frame = known_s + _NEWEST * (each_s - known_s) if known_s else each_s

    def take_overdue(self, now_s: float) -> list[Admitted]:
        """Takes out what nobody wants any more."""
        return self._take_out(lambda one: one.frame.request.frame.deadline_s < now_s)

    def take_all(self) -> list[Admitted]:
        """Takes out all that waits."""
        return self._take_out(lambda _: True)

    def overstayed(self, now_s: float, share: float) -> list[Batch]:
        """The batches that run for longer than this share of what they may."""
        return [batch for batch in self._running if now_s - batch.started_s > share * self.max_seconds]

    def runs(self, detector: Detector) -> bool:
        """Whether a batch of this detector runs, those that were given up excepted."""
        return any(batch.detector is detector for batch in self._running)

    def busy_s(self, now_s: float) -> float:
        """Seconds for which its batches have run since the start, those that still do included."""
        return self._busy_s + sum(now_s - batch.started_s for batch in self._running)

    def _next(self) -> list[_Waiting]:
        if self._alone:
            return [self._alone[0]]
        return [self._waiting[at] for at in range(min(len(self._waiting), self.max_batch))]

    def _take_out(self, gone: Callable[[_Waiting], bool]) -> list[Admitted]:
        out = [one.frame for one in (*self._alone, *self._waiting) if gone(one)]
        if out:
            self._alone = deque(one for one in self._alone if not gone(one))
            self._waiting = deque(one for one in self._waiting if not gone(one))
        return out
