"""What the scheduling tests share: frames, detectors in plain Python, a source, a listener that keeps what it hears."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import numpy as np

from streammon.detect.config import DetectConfig, DetectorSchedule
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.gates import Gates
from streammon.detect.scheduling.lane import Batch, Lane
from streammon.detect.scheduling.request import Cost, Examined, Request, RequestClass
from streammon.detect.scheduling.scheduler import Scheduler
from streammon.detect.scheduling.shared import Hooks
from streammon.entities import Detection, Frame, Moment, Observation, Source, Unexamined
from streammon.errors import StreammonError
from streammon.fairness import FairOrder

AT = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = np.zeros((4, 4, 3), np.uint8)
FOREVER_S = 1e12


def frame(
    seq: int = 0,
    *,
    room_id: str = "r1",
    pts_s: float | None = None,
    session: int = 1,
    received_s: float = 0.0,
    deadline_s: float = FOREVER_S,
) -> Frame:
    """A frame; by default its time in the stream is its number."""
    moment = Moment(session=session, pts_s=float(seq) if pts_s is None else pts_s, received_at=AT)
    return Frame(
        room_id=room_id, moment=moment, seq=seq, key_frame=True, width=4, height=4, image=IMAGE,
        received_s=received_s, deadline_s=deadline_s,
    )  # fmt: skip


def request(seq: int = 0, *, room_id: str = "r1", review: bool = False, deadline_s: float = FOREVER_S) -> Request:
    """A request for a frame; a review where it says so."""
    asked = RequestClass.REVIEW if review else RequestClass.LIVE
    return Request(frame=frame(seq, room_id=room_id, deadline_s=deadline_s), request_class=asked)


def config(schedule: dict[str, dict[str, object]] | None = None, **engine: object) -> DetectConfig:
    """Configuration as a file would give it."""
    return DetectConfig.model_validate({"schedule": schedule or {}, "engine": engine})


class Seer:
    """A detector that finds something where `finds` says so, and notes the batches it was shown."""

    def __init__(
        self,
        name: str = "seer",
        finds: Callable[[Frame], bool] = lambda _: True,
        *,
        max_batch: int = 4,
        parallel: int = 1,
        takes_s: float = 0.0,
    ) -> None:
        self.name = name
        self.model = f"{name}-1"
        self.labels = frozenset({f"violence.{name}"})
        self.max_batch = max_batch
        self.parallel = parallel
        self.takes_s = takes_s
        self.finds = finds
        self.batches: list[tuple[int, ...]] = []
        self.running = self.most_running = 0
        self.warm = self.closed = False
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        self.warm = True

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        with self._lock:
            self.batches.append(tuple(one.seq for one in frames))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            if self.takes_s:
                time.sleep(self.takes_s * len(frames))
            return [(self.hit(),) if self.finds(one) else () for one in frames]
        finally:
            with self._lock:
                self.running -= 1

    def hit(self) -> Detection:
        """What it finds."""
        (label,) = self.labels
        return Detection(detector=self.name, model=self.model, source=Source.VISUAL, score=0.9, label=label)

    def close(self) -> None:
        self.closed = True


class Box:
    """A source: rooms' frames in fair order, the overdue dropped; as the mailbox does, by a clock of the test's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.wake: Callable[[], None] = lambda: None
        self.dropped = Counter[str]()
        self._clock = clock
        self._lock = threading.Lock()
        self._order = FairOrder[str]()
        self._rooms: dict[str, deque[tuple[Request, float, int]]] = {}
        self._arrived = 0

    def put(self, asked: Request, weight: float = 1.0, priority: int = 0) -> None:
        with self._lock:
            room_id = asked.frame.room_id
            self._rooms.setdefault(room_id, deque()).append((asked, weight, priority))
            self._order.wait(room_id, priority=priority, deadline_s=asked.frame.deadline_s)
            self._arrived += 1
        self.wake()

    def take(self, lead_s: float = 0.0) -> Request | None:
        with self._lock:
            self._drop_overdue(lead_s)
            room_id = self._order.pop()
            if room_id is None:
                return None
            asked, weight, priority = self._rooms[room_id].popleft()
            self._order.charge(room_id, weight)
            if self._rooms[room_id]:
                self._order.wait(room_id, priority=priority)
            return asked

    def waiting(self) -> bool:
        with self._lock:
            return len(self._order) > 0

    def arrived(self) -> int:
        return self._arrived

    def _drop_overdue(self, lead_s: float) -> None:
        now_s = self._clock()
        for room_id, frames in self._rooms.items():
            while frames and self._is_late(frames[0][0].frame, lead_s, now_s):
                frames.popleft()
                self.dropped[room_id] += 1
            if not frames:
                self._order.leave(room_id)

    @staticmethod
    def _is_late(one: Frame, lead_s: float, now_s: float) -> bool:
        return one.deadline_s - min(lead_s, (one.deadline_s - one.received_s) / 2) < now_s


class Ear:
    """A listener that keeps all it hears."""

    def __init__(self) -> None:
        self.heard: list[Examined] = []
        self.runs: list[tuple[str, float, int]] = []
        self.changes: list[tuple[str, str | None]] = []
        self.failures: list[StreammonError] = []

    def examined(self, examined: Examined) -> None:
        self.heard.append(examined)

    def ran(self, detector: str, seconds: float, frames: int) -> None:
        self.runs.append((detector, seconds, frames))

    def detector_disabled(self, detector: str, why: str) -> None:
        self.changes.append((detector, why))

    def detector_enabled(self, detector: str) -> None:
        self.changes.append((detector, None))

    def failed(self, failure: StreammonError) -> None:
        self.failures.append(failure)

    def observations(self, detector: str) -> dict[int, Observation]:
        """What came of a detector's frames, by their numbers."""
        return {
            one.request.frame.seq: seen for one in self.heard for seen in one.observations if seen.detector == detector
        }


NOTHING = Cost()


def scheduler(detectors: Sequence[Seer], settings_: DetectConfig | None = None) -> Scheduler:
    """A scheduler of these detectors."""
    known = settings_ if settings_ is not None else config()
    lanes = [Lane(one, known.schedule.get(one.name, DetectorSchedule()), known.engine) for one in detectors]
    gates = Gates({name: one.only_if for name, one in known.schedule.items()}, [one.name for one in detectors])
    return Scheduler(lanes, gates, known.engine)


def answer(made: Scheduler, batch: Batch | None, now_s: float, cost: Cost = NOTHING) -> None:
    """The batch comes back with what its detector sees."""
    assert batch is not None
    assert isinstance(batch.lane.detector, Seer)
    made.answered(batch, batch.lane.detector.detect([one.request.frame for one in batch.frames]), cost, now_s)


def told(made: Scheduler) -> list[Examined]:
    """What there is to tell, as if it were told now."""
    frames = []
    while one := made.inflight.take():
        frames.append(one.examined())
        made.inflight.told(one)
    return frames


def whys(examined: Examined) -> list[Unexamined | None]:
    """Why each detector did not look, None where it did."""
    return [one.unexamined for one in examined.observations]


def wait_for(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Fails where the condition does not come true in time."""
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, "it did not come about in time"
        time.sleep(0.002)


NO_HOOKS = Hooks()


class Bench:
    """An engine with a source per class and a listener."""

    def __init__(
        self, detectors: Sequence[Seer], known: DetectConfig, hooks: Hooks = NO_HOOKS, ear: Ear | None = None
    ) -> None:
        self.ear = ear if ear is not None else Ear()
        self.live, self.review = Box(), Box()
        sources = {RequestClass.LIVE: self.live, RequestClass.REVIEW: self.review}
        self.engine = Engine(detectors, sources, self.ear, known, hooks)
        self.live.wake = self.review.wake = self.engine.wake

    def put(self, *seqs: int, room_id: str = "r1") -> None:
        for seq in seqs:
            self.live.put(request(seq, room_id=room_id))


Build = Callable[..., Bench]


@contextmanager
def benches() -> Iterator[Build]:
    """Makes benches whose threads must all be gone at the end."""
    made: list[Bench] = []
    before = set(threading.enumerate())

    def make(*detectors: Seer, known: DetectConfig | None = None, start: bool = True, **others: Any) -> Bench:
        bench = Bench(detectors, known if known is not None else config(workers=2), **others)
        made.append(bench)
        if start:
            bench.engine.start()
        return bench

    yield make
    for bench in made:
        bench.engine.close()
    wait_for(lambda: set(threading.enumerate()) <= before)
