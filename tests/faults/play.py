"""Plays one row: sets its stage up, watches it as a room, and says what came and what of it was not as it must be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from streammon.entities import Room, RoomState
from tests.faults.fault import Expected, Fault, Reached, Seen, Servers, Stage
from tests.faults.healthy import Healthy
from tests.faults.watch import Heard, Sighting, Watch

MAX_STOP_S = 1.0
MAX_GAP_INTERVALS = 2.0
_INTERVAL_S = 0.5
_STOP_WAITED_FOR_S = 8.0
_MAX_AHEAD_S = 5.0
"""What a server may send at once when a room comes: some pictures from before, or a segment."""


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of a row. `reached` are the states and how long each took, in seconds, since its phase began."""

    fault: Fault[Any]
    reached: list[tuple[str, float]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    states_ok: bool = False
    stop_s: float | None = None
    gap_intervals: float = 0.0
    took_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all was as it must be."""
        return not self.wrong


class Unexpected(Exception):
    """Something else came than must, or nothing did; says what."""


def play(fault: Fault[Any], room_id: str, watch: Watch, servers: Servers, healthy: Healthy) -> Result:
    """The whole row; whatever goes wrong is in the result."""
    result = Result(fault=fault)
    began_s = time.monotonic()
    try:
        with fault.stage(servers) as stage:
            try:
                _play_phases(_Room(room_id, watch, result), fault, stage)
                result.states_ok = True
            finally:
                _stop(room_id, watch, result)
                _look_back(room_id, watch, stage, result)
    except Unexpected as error:
        result.wrong.insert(0, str(error))
    except Exception as error:  # noqa: BLE001 - a row that cannot be played is one that failed, not the end of the run
        result.wrong.append(f"the row could not be played: {type(error).__name__}: {error}")
    result.took_s = time.monotonic() - began_s
    gap = healthy.largest_gap(began_s, time.monotonic())
    result.gap_intervals = gap.intervals
    if gap.intervals > MAX_GAP_INTERVALS:
        result.wrong.append(f"{gap.room_id} had nothing for {gap.intervals:.1f} intervals")
    return result


class _Room:
    """A room under observation, and how far in its story we are."""

    def __init__(self, room_id: str, watch: Watch, result: Result) -> None:
        self.room_id = room_id
        self.watch = watch
        self._result = result
        self._read = 0
        self._phase_s = 0.0
        self._sampled = 0

    def begin_phase(self) -> None:
        """What was told and seen until now is of an earlier phase."""
        self._read, self._sampled = len(self.watch.heard(self.room_id)), len(self.watch.seen(self.room_id))
        self._phase_s = time.monotonic()

    def expect(self, expected: Expected, *, patient: bool) -> None:
        """Waits for what must come. Raises Unexpected; `patient`: not for tries that fail before a state is reached."""
        match expected:
            case Reached():
                at_s = self._reach(expected, patient)
            case Seen():
                at_s = self._see(expected)
        self._result.reached.append((str(expected), at_s - self._phase_s))

    def _reach(self, expected: Reached, patient: bool) -> float:
        until_s = time.monotonic() + expected.within_s
        came: list[str] = []
        while (heard := self._next(until_s)) is not None:
            change = heard.change
            if change.state is expected.state and change.reason == expected.reason:
                return heard.at_s
            came.append(f"{change.state.value}/{change.reason} ({change.detail})")
            if change.state is not RoomState.CONNECTING and not patient:
                break
        heading = f"expected {expected} within {expected.within_s:g} s"
        raise Unexpected(f"{heading}, came: {', '.join(came) or 'nothing'}")

    def _see(self, expected: Seen) -> float:
        def told() -> bool:
            return len(self.watch.heard(self.room_id)) > self._read

        def passed() -> bool:
            return expected.test(self.watch.seen(self.room_id)[self._sampled :])

        self.watch.wait_for(lambda: told() or passed(), expected.within_s)
        if told():
            change = self.watch.heard(self.room_id)[self._read].change
            raise Unexpected(f"expected {expected}, came: {change.state.value}/{change.reason} ({change.detail})")
        if not passed():
            seen = self.watch.seen(self.room_id)[self._sampled :]
            sizes = sorted({(one.width, one.height) for one in seen})
            raise Unexpected(
                f"expected {expected} within {expected.within_s:g} s, came: {len(seen)} samples of {sizes}"
            )
        return time.monotonic()

    def _next(self, until_s: float) -> Heard | None:
        left_s = max(0.0, until_s - time.monotonic())
        if not self.watch.wait_for(lambda: len(self.watch.heard(self.room_id)) > self._read, left_s):
            return None
        self._read += 1
        return self.watch.heard(self.room_id)[self._read - 1]


def _play_phases(room: _Room, fault: Fault[Any], stage: Stage) -> None:
    room.begin_phase()
    room.watch.add(Room(room_id=room.room_id, url=stage.url, interval_s=_INTERVAL_S))
    for expected in fault.first:
        room.expect(expected, patient=False)
    for act, story, patient in ((fault.breaks, fault.broken, False), (fault.mends, fault.mended, True)):
        room.begin_phase()
        if act is not None:
            act(stage)
        for expected in story:
            room.expect(expected, patient=patient)


def _stop(room_id: str, watch: Watch, result: Result) -> None:
    def stopped() -> bool:
        return any(heard.change.state is RoomState.STOPPED for heard in watch.heard(room_id))

    asked_s = time.monotonic()
    watch.remove(room_id)
    if not watch.wait_for(stopped, _STOP_WAITED_FOR_S):
        result.wrong.append(f"not stopped after {_STOP_WAITED_FOR_S:g} s")
        return
    result.stop_s = watch.heard(room_id)[-1].at_s - asked_s
    if result.stop_s > MAX_STOP_S:
        result.wrong.append(f"stopped after {result.stop_s:.1f} s, more than {MAX_STOP_S:g} s")


def _look_back(room_id: str, watch: Watch, stage: Stage, result: Result) -> None:
    """What must hold whatever the fault: time goes on within a session, and nobody went where nobody may."""
    result.wrong += [f"time ran back: {before} then {after}" for before, after in run_back(watch.seen(room_id))]
    ahead_s = ran_ahead_s(watch.seen(room_id))
    if ahead_s > _MAX_AHEAD_S:
        result.wrong.append(f"the stream's time ran {ahead_s:.1f} s ahead of the clock")
    if (wrong := stage.wrong()) is not None:
        result.wrong.append(wrong)


def run_back(seen: Sequence[Sighting]) -> list[tuple[float, float]]:
    """The pairs of `pts_s` of consecutive samples of one session that do not rise."""
    return [
        (before.pts_s, after.pts_s)
        for before, after in pairwise(seen)
        if before.session == after.session and after.pts_s <= before.pts_s
    ]


def ran_ahead_s(seen: Sequence[Sighting]) -> float:
    """By how much more `pts_s` grew than the wall clock, in the session in which that was most."""
    firsts: dict[int, Sighting] = {}
    ahead_s = 0.0
    for one in seen:
        first = firsts.setdefault(one.session, one)
        ahead_s = max(ahead_s, (one.pts_s - first.pts_s) - (one.at_s - first.at_s))
    return ahead_s
