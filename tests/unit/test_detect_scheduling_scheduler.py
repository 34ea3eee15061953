"""The scheduler by a clock of the test's: batches, cascade, gates, faults."""

from __future__ import annotations

import logging

import pytest

from streammon.detect.scheduling.lane import Batch
from streammon.detect.scheduling.request import Cost, Request
from streammon.detect.scheduling.scheduler import HealthChange, Scheduler
from streammon.entities import Outcome, Unexamined
from tests.unit.scheduling import NOTHING, Seer, answer, config, frame, request, scheduler, told, whys


def seqs(batch: Batch | None) -> tuple[str, tuple[int, ...]] | None:
    return None if batch is None else (batch.lane.name, tuple(one.request.frame.seq for one in batch.frames))


def fail(made: Scheduler, batch: Batch | None, now_s: float) -> None:
    assert batch is not None
    made.failed(batch, "ModelError: no", NOTHING, now_s)


# --- batches ---


def test_a_batch_is_what_waits_and_no_more_than_the_detector_gains_from() -> None:
    made = scheduler([Seer(max_batch=3)])
    for seq in range(4):
        made.admit(request(seq), (), 0.0)
    first = made.next_batch(0.0)
    assert seqs(first) == ("seer", (0, 1, 2))
    assert made.next_batch(0.0) is None  # one batch of it at a time
    answer(made, first, 1.0)
    assert seqs(made.next_batch(1.0)) == ("seer", (3,))


def test_as_many_batches_of_a_detector_run_as_it_says() -> None:
    made = scheduler([Seer(max_batch=1, parallel=2)])
    for seq in range(3):
        made.admit(request(seq), (), 0.0)
    assert [seqs(made.next_batch(0.0)) for _ in range(3)] == [("seer", (0,)), ("seer", (1,)), None]


def test_configuration_overrides_what_a_detector_says() -> None:
    made = scheduler([Seer(max_batch=1)], config({"seer": {"max_batch": 2, "parallel": 2}}))
    for seq in range(4):
        made.admit(request(seq), (), 0.0)
    assert [seqs(made.next_batch(0.0)) for _ in range(3)] == [("seer", (0, 1)), ("seer", (2, 3)), None]


def test_the_most_urgent_goes_first_and_of_equals_the_cheap_before_the_dear() -> None:
    made = scheduler([Seer("dear"), Seer("cheap")])
    made.admit(request(0, deadline_s=50.0), (), 0.0)
    answer(made, made.next_batch(0.0), 5.0)
    answer(made, made.next_batch(5.0), 6.0)
    made.admit(request(1, deadline_s=50.0), (), 10.0)
    first = made.next_batch(10.0)
    assert seqs(first) == ("cheap", (1,))
    made.admit(request(2, deadline_s=11.0), (), 10.0)  # more urgent, though the other lane has waited longer
    answer(made, first, 10.0)
    assert seqs(made.next_batch(10.0)) == ("cheap", (2,))


def test_full_batches_go_before_those_that_may_grow_but_never_for_long() -> None:
    made = scheduler([Seer("small", max_batch=8), Seer("full", max_batch=2)], config(max_wait=0.5))
    made.admit(request(0, deadline_s=1.5), ["full"], 0.0)
    for seq in range(1, 5):
        made.admit(request(seq, deadline_s=9.0), ["small"], 0.0)
    first = made.next_batch(0.1)
    assert seqs(first) == ("full", (1, 2))
    answer(made, first, 0.5)
    assert seqs(made.next_batch(0.5)) == ("small", (0,))


def test_a_review_without_a_deadline_is_not_starved() -> None:
    made = scheduler([Seer("live"), Seer("other")], config({"live": {"every": "1h"}}, max_wait=0))
    made.admit(request(0, room_id="a", deadline_s=5.0), (), 0.0)
    answer(made, made.next_batch(0.0), 0.0)
    answer(made, made.next_batch(0.0), 0.0)
    made.admit(request(0, room_id="review", review=True), ["other"], 1.0)
    made.admit(request(1, room_id="a", deadline_s=4.0), (), 3.5)
    assert seqs(made.next_batch(3.5)) == ("live", (0,))


# --- what is not examined, and why ---


def test_every_detector_says_of_every_frame_what_came_of_it() -> None:
    made = scheduler([Seer("often"), Seer("seldom"), Seer("same")], config({"seldom": {"every": "10s"}}))
    made.admit(request(0), (), 0.0)
    for _ in range(3):
        answer(made, made.next_batch(0.0), 0.0)
    assert made.due(request(1), 1.0) == ["often", "same"]
    made.admit(request(1), ["same"], 1.0)
    answer(made, made.next_batch(1.0), 1.0)
    assert made.next_batch(1.0) is None
    first, second = told(made)
    assert whys(first) == [None, None, None]
    assert all(one.outcome is Outcome.EXAMINED and one.detections for one in first.observations)
    assert [one.detector for one in second.observations] == ["often", "seldom", "same"]
    assert whys(second) == [None, Unexamined.CADENCE, Unexamined.UNCHANGED]
    assert second.observations[1].outcome is Outcome.NOT_EXAMINED


def test_a_room_may_have_a_cadence_of_its_own() -> None:
    made = scheduler([Seer()], config({"seer": {"every": "10s"}}))
    eager = [Request(frame=frame(seq), every_s={"seer": 0.0}) for seq in range(2)]
    for one in eager:
        made.admit(one, (), 0.0)
    assert seqs(made.next_batch(0.0)) == ("seer", (0, 1))


def test_a_frame_that_nobody_looked_at_is_done_at_once() -> None:
    made = scheduler([Seer()])
    assert made.admit(request(0), ["seer"], 0.0) == 0
    assert [whys(one) for one in told(made)] == [[Unexamined.UNCHANGED]]


def test_what_is_overdue_is_not_shown_and_leaves_the_cadence_as_it_was() -> None:
    made = scheduler([Seer("busy"), Seer("free")], config({"free": {"every": "10s"}}))
    made.admit(request(0, deadline_s=5.0), (), 0.0)
    running = made.next_batch(5.0)
    made.drop_overdue(5.1)
    assert made.next_batch(5.1) is None
    assert told(made) == []  # the other detector has begun with it, and may end
    answer(made, running, 6.0)
    assert [whys(one) for one in told(made)] == [[None, Unexamined.OVERDUE]]
    assert made.due(request(1), 6.0) == ["busy", "free"]


# --- gates ---

GATED = config({"age": {"only_if": ["faces"]}, "glasses": {"only_if": ["age"]}})


def test_a_gated_detector_looks_only_where_its_gate_found_something() -> None:
    made = scheduler([Seer("glasses"), Seer("age"), Seer("faces", lambda one: one.seq == 0)], GATED)
    for seq in (0, 1):
        made.admit(request(seq), (), 0.0)
    faces = made.next_batch(0.0)
    assert seqs(faces) == ("faces", (0, 1))
    assert made.next_batch(0.0) is None
    answer(made, faces, 1.0)
    age = made.next_batch(1.0)
    assert seqs(age) == ("age", (0,))
    assert age is not None
    assert [list(found) for found in age.found] == [["faces"]]
    answer(made, age, 2.0)
    answer(made, made.next_batch(2.0), 3.0)
    found, empty = told(made)
    assert [bool(one.detections) for one in found.observations] == [True, True, True]
    # The gate has looked and there is nothing: a fresh miss for all behind it, at no cost.
    assert [(one.outcome, one.detections) for one in empty.observations] == [(Outcome.EXAMINED, ())] * 3
    assert set(empty.cost) == {"faces"}


def test_a_gate_that_was_not_examined_shuts_all_behind_it() -> None:
    made = scheduler([Seer("glasses"), Seer("age"), Seer("faces")], GATED)
    made.admit(request(0), ["faces"], 0.0)
    assert [whys(one) for one in told(made)] == [[Unexamined.GATE, Unexamined.GATE, Unexamined.UNCHANGED]]
    assert "age" in made.due(request(1), 0.0)


# --- faults ---


def test_a_failed_batch_is_tried_once_more_frame_by_frame() -> None:
    made = scheduler([Seer(max_batch=3), Seer("other", max_batch=3)])
    for seq in range(3):
        made.admit(request(seq), ["other"], 0.0)
    fail(made, made.next_batch(0.0), 1.0)
    made.admit(request(3), ["other"], 1.0)
    assert told(made) == []
    again = []
    for _ in range(3):
        batch = made.next_batch(2.0)
        again.append(seqs(batch))
        if seqs(batch) == ("seer", (1,)):
            fail(made, batch, 2.0)
        else:
            answer(made, batch, 2.0)
    assert again == [("seer", (0,)), ("seer", (1,)), ("seer", (2,))]
    assert seqs(made.next_batch(2.0)) == ("seer", (3,))
    assert [whys(one)[0] for one in told(made)] == [None, Unexamined.FAILED, None]


def test_a_detector_that_fails_too_often_rests_and_is_tried_with_one_frame(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    made = scheduler([Seer(max_batch=1), Seer("other", max_batch=99)], config(max_failures=2, disabled_for=60))
    for seq in range(5):
        made.admit(request(seq), ["other"], 0.0)
    for _ in range(4):
        fail(made, made.next_batch(0.0), 0.0)
    assert list(made.changes) == [HealthChange(detector="seer", why="ModelError: no")]
    made.admit(request(5), (), 1.0)
    assert seqs(made.next_batch(1.0)) == ("other", (5,))  # the others go on
    assert made.due(request(6), 59.0) == ["other"]
    reasons = [Unexamined.FAILED] * 2 + [Unexamined.DISABLED] * 3
    assert [whys(one)[0] for one in told(made)] == reasons

    made.admit(request(6, room_id="r2"), ["other"], 61.0)
    made.admit(request(7, room_id="r2"), ["other"], 61.0)
    trial = made.next_batch(61.0)
    assert seqs(trial) == ("seer", (6,))
    answer(made, trial, 62.0)
    assert made.changes[-1] == HealthChange(detector="seer", why=None)
    assert [whys(one)[0] for one in told(made) if one.request.frame.room_id == "r2"] == [None, Unexamined.DISABLED]
    made.admit(request(8, room_id="r2"), ["other"], 63.0)
    assert seqs(made.next_batch(63.0)) == ("seer", (8,))
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]


def test_a_trial_that_is_overdue_is_repeated() -> None:
    made = scheduler([Seer(max_batch=1)], config(max_failures=1, disabled_for=60))
    made.admit(request(0), (), 0.0)
    fail(made, made.next_batch(0.0), 0.0)
    fail(made, made.next_batch(0.0), 0.0)
    made.admit(request(1, deadline_s=70.0), (), 61.0)
    assert made.next_batch(71.0) is None
    assert made.due(request(2), 71.0) == ["seer"]


def test_frames_of_a_batch_that_hangs_are_tried_alone_and_one_that_hung_alone_is_not() -> None:
    made = scheduler([Seer(max_batch=2), Seer("other", max_batch=1)], config(max_failures=5))
    for seq in range(2):
        made.admit(request(seq), ["other"], 0.0)
    batch = made.next_batch(0.0)
    assert batch is not None
    assert made.overstayed(12.4, 1.25) == []
    assert made.overstayed(12.6, 1.25) == [batch]
    made.give_up(batch, 12.6)
    assert batch.given_up
    alone = made.next_batch(12.6)
    assert seqs(alone) == ("seer", (0,))
    assert alone is not None
    made.give_up(alone, 26.0)  # the second thread that it costs: its budget is spent
    assert [change.detector for change in made.changes] == ["seer"]
    assert [whys(one)[0] for one in told(made)] == [Unexamined.FAILED, Unexamined.DISABLED]


# --- cost ---


def test_cost_is_split_over_a_batch_and_failed_runs_count() -> None:
    made = scheduler([Seer(max_batch=2), Seer("other", max_batch=2)])
    for seq in range(2):
        made.admit(request(seq), ["other"], 0.0)
    batch = made.next_batch(0.0)
    assert batch is not None
    made.failed(batch, "no", Cost(cpu_s=2.0, provider_s=4.0), 0.0)
    for _ in range(2):
        answer(made, made.next_batch(0.0), 0.0, Cost(cpu_s=0.5, provider_s=0.25))
    assert [one.cost for one in told(made)] == [{"seer": Cost(cpu_s=1.5, provider_s=2.25)}] * 2
