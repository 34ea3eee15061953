"""What becomes of each frame: which detectors look at it, when, and what follows from what they say. Pure: it has no
thread, no lock and no clock. The engine holds its lock around every call.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from streammon.detect.config import EngineConfig
from streammon.detect.detector import Detector
from streammon.detect.scheduling.cadence import Cadence
from streammon.detect.scheduling.gates import Gates, Verdict
from streammon.detect.scheduling.inflight import Admitted, InFlight
from streammon.detect.scheduling.lane import Batch, Lane
from streammon.detect.scheduling.request import Cost, Request, RequestClass, examined_by, unexamined_by
from streammon.detect.scheduling.stay import Stay
from streammon.entities import Detection, Observation, Unexamined

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChange:
    """A detector was disabled, `why` says for what; or enabled again, and `why` is None."""

    detector: str
    why: str | None


class Scheduler:
    """Leads admitted frames through the lanes.

    `inflight` holds those that have not left, `changes` what to tell. `stay` is for how long live frames are inside
    until the last detector has looked; reviews, which no deadline drives, are inside for longer.
    """

    def __init__(self, lanes: Sequence[Lane], gates: Gates, config: EngineConfig) -> None:
        self.inflight = InFlight()
        self.changes: deque[HealthChange] = deque()
        self.admitted = 0
        self.stay = Stay()
        self._lanes = {lane.name: lane for lane in lanes}
        self._gates = gates
        self._cadence = Cadence()
        # A thread that hangs costs more than a frame that fails: twice is enough.
        self._weight_of_hanging = (config.max_failures + 1) // 2

    def due(self, request: Request, now_s: float) -> list[str]:
        """The detectors that would look at a frame, were its picture not one that they know."""
        return [lane.name for lane in self._lanes.values() if self._why_not(lane, request, (), now_s) is None]

    def admit(self, request: Request, unchanged: Collection[str], now_s: float) -> float:
        """Takes in a frame. `unchanged` names the detectors for which nothing in it is new.

        Returns the seconds of work that it probably means.
        """
        frame = Admitted(request=request, detectors=tuple(self._lanes), since_s=now_s)
        self.inflight.add(frame)
        self.admitted += 1
        reasons = {lane: self._why_not(lane, request, unchanged, now_s) for lane in self._lanes.values()}
        chosen = [lane for lane, why in reasons.items() if why is None]
        frame.gated = {lane.name for lane in chosen if self._gates.before(lane.name)}
        for lane in chosen:
            self._cadence.give(request.line, lane.name, request.frame, now_s)
            if lane.name not in frame.gated:
                self._put(frame, lane, now_s)
        for lane, why in reasons.items():
            if why is not None:
                self._refuse(frame, lane, why, now_s)
        return sum(lane.seconds_per_frame for lane in chosen)

    def next_batch(self, now_s: float) -> Batch | None:
        """What to run next, None where nothing waits that may run. Nobody waits for a batch to grow."""
        self.drop_overdue(now_s)
        runnable = [lane for lane in self._lanes.values() if lane.runnable]
        if not runnable:
            return None
        batch = min(runnable, key=lambda lane: lane.urgency(now_s)).start(now_s)
        batch.found = tuple(self._gates.found(batch.lane.name, frame.observations) for frame in batch.frames)
        return batch

    def answered(self, batch: Batch, found: Sequence[tuple[Detection, ...] | None], cost: Cost, now_s: float) -> None:
        """A batch came back with what is in each of its frames, None where nothing new is there for the detector."""
        lane = batch.lane
        self._end(batch, cost, now_s)
        if batch.current:
            self._count_success(lane, now_s)
        for frame, detections in zip(batch.frames, found, strict=True):
            if detections is None:
                self._refuse(frame, lane, Unexamined.NOTHING_NEW, now_s)
            else:
                self._settle(frame, lane, examined_by(batch.detector, frame.request.frame, detections), now_s)

    def failed(self, batch: Batch, why: str, cost: Cost, now_s: float) -> None:
        """A batch came to nothing: each of its frames is tried once more, alone, unless it has been."""
        self._end(batch, cost, now_s)
        again = [frame for frame in batch.frames if batch.lane.name not in frame.retried]
        lost = [frame for frame in batch.frames if batch.lane.name in frame.retried]
        self._count_failures(batch, why, len(lost), now_s)
        self._lose(batch.lane, again, lost, now_s)

    def give_up(self, batch: Batch, now_s: float) -> None:
        """A batch does not come back. A frame that was alone in it is not tried again: it would take another thread."""
        batch.given_up = True
        self._end(batch, Cost(), now_s)
        alone = len(batch.frames) == 1
        why = f"it hangs: no answer in {now_s - batch.started_s:.1f} s"
        self._count_failures(batch, why, self._weight_of_hanging, now_s)
        again, lost = ([], list(batch.frames)) if alone else (list(batch.frames), [])
        self._lose(batch.lane, again, lost, now_s)

    def replace(self, name: str, detector: Detector) -> Detector:
        """A lane's batches have this detector from the next one on. Returns the one before; raises KeyError."""
        lane = self._lanes[name]
        rested = not lane.health.enabled
        before = lane.replace(detector)
        if rested:
            self.changes.append(HealthChange(detector=name, why=None))
        return before

    def detectors(self) -> tuple[Detector, ...]:
        """Those of the lanes, in their order."""
        return tuple(lane.detector for lane in self._lanes.values())

    def runs(self, detector: Detector) -> bool:
        """Whether a batch of this detector runs, those that were given up excepted."""
        return any(lane.runs(detector) for lane in self._lanes.values())

    def overstayed(self, now_s: float, share: float) -> list[Batch]:
        """The batches that run for longer than this share of what their detectors may take."""
        return [batch for lane in self._lanes.values() for batch in lane.overstayed(now_s, share)]

    def drop_overdue(self, now_s: float) -> None:
        """Settles what has waited for too long."""
        for lane in self._lanes.values():
            for frame in lane.take_overdue(now_s):
                lane.health.unshown()
                self._refuse(frame, lane, Unexamined.OVERDUE, now_s)

    def busy_s(self, now_s: float) -> tuple[float, ...]:
        """Seconds for which each lane has run batches, since the start."""
        return tuple(lane.busy_s(now_s) for lane in self._lanes.values())

    def _why_not(self, lane: Lane, request: Request, unchanged: Collection[str], now_s: float) -> Unexamined | None:
        if not lane.health.may_look(now_s):
            return Unexamined.DISABLED
        every_s = request.every_s.get(lane.name, lane.every_s)
        if not self._cadence.due(request.line, lane.name, request.frame, every_s, request.interval_s):
            return Unexamined.CADENCE
        return Unexamined.UNCHANGED if lane.name in unchanged else None

    def _put(self, frame: Admitted, lane: Lane, now_s: float) -> None:
        if not lane.health.may_look(now_s):
            self._refuse(frame, lane, Unexamined.DISABLED, now_s)
            return
        lane.health.show()
        lane.put(frame, now_s)

    def _end(self, batch: Batch, cost: Cost, now_s: float) -> None:
        batch.lane.end(batch, now_s)
        for frame in batch.frames:
            frame.charge(batch.lane.name, cost.split(len(batch.frames)))

    def _count_success(self, lane: Lane, now_s: float) -> None:
        if lane.failing:
            lane.failing = False
            log.warning("detector %s works again", lane.name)
        if lane.health.succeeded(now_s):
            self.changes.append(HealthChange(detector=lane.name, why=None))

    def _count_failures(self, batch: Batch, why: str, failures: int, now_s: float) -> None:
        lane = batch.lane
        if not batch.current:  # its detector has been replaced meanwhile, by one that is not to blame
            return
        if not lane.failing:
            lane.failing = True
            log.error("detector %s fails: %s", lane.name, why)
        if failures and lane.health.failed(now_s, failures):
            log.error("detector %s failed too often and rests: %s", lane.name, why)
            self.changes.append(HealthChange(detector=lane.name, why=why))

    def _lose(self, lane: Lane, again: Sequence[Admitted], lost: Sequence[Admitted], now_s: float) -> None:
        for frame in again:
            frame.retried.add(lane.name)
        lane.put_alone(again, now_s)
        for frame in lost:
            self._refuse(frame, lane, Unexamined.FAILED, now_s)
        if lane.health.resting:
            for frame in lane.take_all():
                self._refuse(frame, lane, Unexamined.DISABLED, now_s)

    def _refuse(self, frame: Admitted, lane: Lane, why: Unexamined, now_s: float) -> None:
        request = frame.request
        self._cadence.release(request.line, lane.name, request.frame)
        self._settle(frame, lane, unexamined_by(lane.detector, request.frame, why), now_s)

    def _settle(self, frame: Admitted, lane: Lane, observation: Observation, now_s: float) -> None:
        frame.observations[lane.name] = observation
        if frame.complete:
            self.inflight.complete(frame)
            if frame.cost and frame.request.request_class is RequestClass.LIVE:  # one that nobody saw says nothing
                self.stay.note(now_s - frame.since_s)
            return
        for name in self._gates.behind(lane.name):
            if name in frame.gated:
                self._ask_gates(frame, self._lanes[name], now_s)

    def _ask_gates(self, frame: Admitted, lane: Lane, now_s: float) -> None:
        verdict = self._gates.ask(lane.name, frame.observations)
        if verdict is Verdict.WAIT:
            return
        frame.gated.discard(lane.name)
        if verdict is Verdict.OPEN:
            self._put(frame, lane, now_s)
        elif verdict is Verdict.NOTHING:
            self._settle(frame, lane, examined_by(lane.detector, frame.request.frame, ()), now_s)
        else:
            self._refuse(frame, lane, Unexamined.GATE, now_s)
