"""The dispatcher's thread: brings in frames while there is room inside, minds what is overdue or hangs."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread

from streammon.detect.scheduling.admission import Admission
from streammon.detect.scheduling.load import Load, Totals
from streammon.detect.scheduling.request import Request
from streammon.detect.scheduling.shared import Shared
from streammon.detect.scheduling.workers import Crew
from streammon.errors import StreammonError

# How often it looks at the clock, and at a source that did not wake it.
TICK_S = 0.05
# The runtime ends a run at its limit; what has not come back some time after that does not come back.
GIVE_UP_AT = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Frames inside at once, and threads that may hang before the engine ends."""

    in_flight: int
    given_up: int


class Dispatcher:
    """`thread` is not started yet. `round_s` is when it last came round, by the engine's clock."""

    def __init__(self, shared: Shared, admission: Admission, crew: Crew, load: Load, limits: Limits) -> None:
        self.thread = Thread(target=self._dispatch, name="engine-dispatcher", daemon=True)
        self.round_s = shared.hooks.clock()
        self._shared = shared
        self._admission = admission
        self._crew = crew
        self._load = load
        self._limits = limits

    def _dispatch(self) -> None:
        try:
            while not self._shared.stopping:
                with self._shared.changed:
                    self._shared.woken = False
                self._mind()
                came = self._admit()
                self._shared.tell()
                with self._shared.changed:
                    if not came:
                        self._shared.changed.wait_for(lambda: self._shared.woken or self._shared.stopping, TICK_S)
        except Exception as error:  # noqa: BLE001 - the thread's top frame
            self._shared.fall("its dispatcher", error)

    def _mind(self) -> None:
        """Looks at the clock."""
        now_s = self._shared.hooks.clock()
        arrived = self._admission.arrived()
        with self._shared.changed:
            self.round_s = now_s
            self._shared.scheduler.drop_overdue(now_s)
            for batch in self._shared.scheduler.overstayed(now_s, GIVE_UP_AT):
                self._shared.scheduler.give_up(batch, now_s)
                self._crew.replace(batch, now_s)
                self._shared.wake()
            hung = len(self._crew.given_up())
            busy_s, admitted = self._shared.scheduler.busy_s(now_s), self._shared.scheduler.admitted
            self._load.note(Totals(at_s=now_s, arrived=arrived, admitted=admitted, busy_s=busy_s))
        if hung > self._limits.given_up:
            self._shared.fail(StreammonError(f"{hung} threads hang in detectors; the log names them"))

    def _admit(self) -> bool:
        """Takes in what there is room for, at most as many as fit inside: the clock is to be minded. Any at all?"""
        came = 0
        while came < self._limits.in_flight and self._admit_one():
            came += 1
        return came > 0

    def _admit_one(self) -> bool:
        with self._shared.changed:
            if self._shared.stopping or len(self._shared.scheduler.inflight) >= self._limits.in_flight:
                return False
            self._shared.taking = True
            lead_s = self._shared.scheduler.stay.most_s
        try:
            request = self._admission.take(lead_s)
            if request is not None:
                self._admission.charge(self._let_in(request))
        finally:
            with self._shared.changed:
                self._shared.taking = False
        return request is not None

    def _let_in(self, request: Request) -> float:
        now_s = self._shared.hooks.clock()
        with self._shared.changed:
            due = self._shared.scheduler.due(request, now_s)
        reuse = self._shared.hooks.reuse
        unchanged = reuse.unchanged(request.frame, due, now_s) if reuse is not None and due else ()
        with self._shared.changed:
            work_s = self._shared.scheduler.admit(request, unchanged, now_s)
            self._shared.changed.notify_all()
        return work_s
