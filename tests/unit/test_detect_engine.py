"""The engine: one observation per detector and frame, whatever a detector does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest

from streammon.detect.engine import DetectorCounts, Engine
from streammon.entities import Detection, Frame, Moment, Observation, Outcome, Source

MOMENT = Moment(session=3, pts_s=12.5, received_at=datetime(2026, 1, 1, tzinfo=UTC))
FRAME = Frame(
    room_id="r1", moment=MOMENT, seq=9, key_frame=True, width=4, height=4, image=np.zeros((4, 4, 3), np.uint8),
    received_s=77.0, deadline_s=79.0,
)  # fmt: skip
HIT = Detection(detector="steady", model="m1", source=Source.VISUAL, score=0.9, label="violence.gore")


class Steady:
    """Sees the same thing in every frame, and takes a quarter of a second on the given clock."""

    name, model, labels = "steady", "m1", frozenset({"violence.gore"})

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.warm = self.closed = False

    def warm_up(self) -> None:
        self.warm = True

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        self.clock.now_s += 0.25
        return [(HIT,) for _ in frames]

    def close(self) -> None:
        self.closed = True


class Flaky(Steady):
    """Fails while told to."""

    name, model, labels = "flaky", "m2", frozenset({"values.smoking"})
    failing = True

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        if self.failing:
            raise MemoryError("no room for the picture")
        return [() for _ in frames]


class Clock:
    """A clock that stands still until it is moved."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_examined_frame_is_an_observation_with_its_times(clock: Clock) -> None:
    (observed,) = Engine([Steady(clock)], clock).examine(FRAME)
    assert observed == Observation(
        room_id="r1", detector="steady", labels=frozenset({"violence.gore"}), outcome=Outcome.EXAMINED,
        moment=MOMENT, at_s=77.0, detections=(HIT,),
    )  # fmt: skip


def test_a_failing_detector_costs_only_its_own_observation(clock: Clock) -> None:
    engine = Engine([Flaky(clock), Steady(clock)], clock)
    flaky, steady = engine.examine(FRAME)
    assert (flaky.detector, flaky.outcome, flaky.detections) == ("flaky", Outcome.NOT_EXAMINED, ())
    assert flaky.labels == {"values.smoking"}
    assert (steady.outcome, steady.detections) == (Outcome.EXAMINED, (HIT,))
    assert engine.counts == {"flaky": DetectorCounts(failed=1), "steady": DetectorCounts(examined=1)}


def test_a_failure_is_logged_once_and_so_is_its_end(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    detector = Flaky(clock)
    engine = Engine([detector], clock)
    with caplog.at_level(logging.WARNING):
        for failing in (True, True, True, False, False, True):
            detector.failing = failing
            engine.examine(FRAME)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "ERROR"]
    assert "detector flaky fails" in caplog.records[0].message
    assert "MemoryError: no room for the picture" in caplog.records[0].message
    assert "works again" in caplog.records[1].message
    assert engine.counts["flaky"] == DetectorCounts(examined=2, failed=4)


def test_the_wrong_number_of_answers_is_a_failure(clock: Clock) -> None:
    class Mute(Steady):
        def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
            return super().detect(frames)[1:]

    (observed,) = Engine([Mute(clock)], clock).examine(FRAME)
    assert observed.outcome is Outcome.NOT_EXAMINED


def test_runs_are_timed_and_failures_are_not(clock: Clock) -> None:
    runs: list[tuple[str, float, int]] = []
    engine = Engine([Flaky(clock), Steady(clock)], clock, lambda *run: runs.append(run))
    engine.examine(FRAME)
    assert runs == [("steady", 0.25, 1)]


def test_a_skipped_frame_is_shown_to_nobody(clock: Clock) -> None:
    engine = Engine([Flaky(clock), Steady(clock)], clock)
    observed = engine.skip(FRAME)
    assert [(o.detector, o.outcome, o.at_s) for o in observed] == [
        ("flaky", Outcome.NOT_EXAMINED, 77.0),
        ("steady", Outcome.NOT_EXAMINED, 77.0),
    ]
    assert engine.counts == {"flaky": DetectorCounts(skipped=1), "steady": DetectorCounts(skipped=1)}
    assert clock.now_s == 0


def test_warm_up_and_close_reach_every_detector(clock: Clock) -> None:
    detectors = [Steady(clock), Flaky(clock)]
    engine = Engine(detectors, clock)
    engine.warm_up()
    assert all(detector.warm for detector in detectors)
    engine.close()
    engine.close()
    assert all(detector.closed for detector in detectors)
