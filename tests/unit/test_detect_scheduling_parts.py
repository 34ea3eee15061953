"""The scheduler's parts, each by itself: cadence, gates, health, order of leaving, load, shares of the classes."""

from __future__ import annotations

import itertools
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streammon.detect.config import EngineConfig
from streammon.detect.scheduling.admission import Admission
from streammon.detect.scheduling.cadence import Cadence
from streammon.detect.scheduling.gates import Gates, Verdict
from streammon.detect.scheduling.health import Health
from streammon.detect.scheduling.inflight import Admitted, InFlight
from streammon.detect.scheduling.load import Load, Totals
from streammon.detect.scheduling.request import Request, RequestClass, examined_by, unexamined_by
from streammon.entities import Frame, Unexamined
from streammon.errors import StreammonError
from tests.unit.scheduling import Seer, config, frame, request

# --- cadence ---


def looked_at(frames: list[Frame], every_s: float, interval_s: float) -> list[float]:
    """The stream's times of the frames that are due, one after the other."""
    cadence, due = Cadence(), []
    for one in frames:
        if cadence.due("r1", "d", one, every_s, interval_s):
            cadence.give("r1", "d", one, one.received_s)
            due.append(one.moment.pts_s)
    return due


@given(st.lists(st.floats(-0.49, 0.49), min_size=2, max_size=30))
def test_a_cadence_of_the_interval_is_every_frame_however_they_jitter(jitter: list[float]) -> None:
    times = [2.0 * at + 0.5 * shift for at, shift in enumerate(jitter)]
    frames = [frame(at, pts_s=time_s, received_s=time_s) for at, time_s in enumerate(times)]
    assert looked_at(frames, 2.0, 2.0) == times


def test_a_cadence_is_met_by_the_nearest_frame() -> None:
    frames = [frame(at, pts_s=2.0 * at, received_s=2.0 * at) for at in range(20)]
    assert looked_at(frames, 10.0, 2.0) == [0, 10, 20, 30]
    assert looked_at(frames, 9.5, 2.0)[:3] == [0, 10, 20]
    assert looked_at(frames, 0.0, 2.0) == [2.0 * at for at in range(20)]


def test_a_segment_that_comes_all_at_once_is_measured_by_its_own_clock() -> None:
    frames = [frame(at, pts_s=2.0 * at, received_s=6.0 * (at // 3)) for at in range(9)]
    assert looked_at(frames, 2.0, 2.0) == [2.0 * at for at in range(9)]


def test_a_clock_that_stands_still_or_jumps_does_not_blind() -> None:
    still = [frame(at, pts_s=0.0, received_s=2.0 * at) for at in range(6)]
    assert len(looked_at(still, 4.0, 2.0)) == 3
    back = [frame(0, pts_s=500.0), frame(1, pts_s=1.0), frame(2, pts_s=2.0)]
    assert looked_at(back, 10.0, 1.0) == [500.0, 1.0]
    again = [frame(0, pts_s=5.0), frame(1, pts_s=6.0, session=2)]
    assert looked_at(again, 10.0, 1.0) == [5.0, 6.0]


def test_what_came_to_nothing_leaves_the_next_frame_due() -> None:
    cadence = Cadence()
    cadence.give("r1", "d", frame(0), 0.0)
    assert not cadence.due("r1", "d", frame(1), 10.0, 1.0)
    cadence.release("r1", "d", frame(5))
    assert not cadence.due("r1", "d", frame(1), 10.0, 1.0)
    cadence.release("r1", "d", frame(0))
    assert cadence.due("r1", "d", frame(1), 10.0, 1.0)


def test_rooms_and_detectors_have_a_cadence_each_and_silent_rooms_are_forgotten() -> None:
    cadence = Cadence()
    for room in range(1000):
        cadence.give(room, "d", frame(0), float(room))
    assert len(cadence) == 601
    assert cadence.due(10, "d", frame(1), 10.0, 1.0)
    assert not cadence.due(999, "d", frame(1), 10.0, 1.0)
    assert cadence.due(999, "other", frame(1), 10.0, 1.0)


# --- gates ---

FACES, AGE = Seer("faces"), Seer("age")
HIT = examined_by(FACES, frame(), (FACES.hit(),))
MISS = examined_by(FACES, frame(), ())
UNSEEN = unexamined_by(FACES, frame(), Unexamined.CADENCE)


@pytest.mark.parametrize(
    ("observations", "verdict"),
    [
        ({}, Verdict.WAIT),
        ({"a": HIT}, Verdict.WAIT),
        ({"a": HIT, "b": MISS}, Verdict.OPEN),
        ({"a": HIT, "b": UNSEEN}, Verdict.OPEN),
        ({"a": MISS, "b": MISS}, Verdict.NOTHING),
        ({"a": MISS, "b": UNSEEN}, Verdict.SHUT),
    ],
)
def test_gates_open_for_what_any_of_them_found(observations: dict[str, object], verdict: Verdict) -> None:
    gates = Gates({"age": ["a", "b"]}, ["a", "b", "age"])
    assert gates.ask("age", observations) is verdict  # type: ignore[arg-type]


def test_gates_know_who_stands_before_and_behind() -> None:
    gates = Gates({"age": ["faces"], "absent": ["nobody"]}, ["age", "faces"])
    assert (gates.before("age"), gates.before("faces")) == (("faces",), ())
    assert (gates.behind("faces"), gates.behind("age")) == (("age",), ())
    assert gates.found("age", {"faces": HIT}) == {"faces": HIT.detections}
    assert gates.found("age", {"faces": MISS}) == {}


def test_a_gate_that_is_not_there_is_refused() -> None:
    with pytest.raises(StreammonError, match=r"detect.schedule.age.only_if: faces is not switched on.*age, qr"):
        Gates({"age": ["faces"]}, ["age", "qr"])


def test_gates_in_a_circle_are_refused_by_name() -> None:
    circle: dict[str, dict[str, object]] = {
        "a": {"only_if": ["b"]},
        "b": {"only_if": ["c"]},
        "c": {"only_if": ["a"]},
        "d": {"only_if": ["a"]},
    }
    with pytest.raises(ValidationError, match=r"only_if forms a circle: (a → b → c → a|b → c → a → b|c → a → b → c)"):
        config(circle)
    with pytest.raises(ValidationError, match="circle: a → a"):
        config({"a": {"only_if": ["a"]}})


# --- health ---


def disabled(health: Health, now_s: float) -> bool:
    return not health.enabled and not health.may_look(now_s)


def test_a_budget_of_failures_within_the_window() -> None:
    health = Health(EngineConfig(max_failures=3, failure_window=10))
    assert not any(health.failed(at_s) for at_s in (0.0, 6.0, 12.0, 18.0))
    assert health.failed(21.0)
    assert disabled(health, 80.0)
    assert health.may_look(81.0)


def test_one_frame_tries_it_and_the_rest_grows_with_each_failure() -> None:
    health = Health(EngineConfig(max_failures=1, disabled_for=60, disabled_at_most=200))
    now_s = 100.0
    assert health.failed(now_s)
    for rest_s in (60.0, 120.0, 200.0, 200.0):
        assert disabled(health, now_s + rest_s - 0.1)
        now_s += rest_s
        assert health.may_look(now_s)
        health.show()
        assert disabled(health, now_s + 1e6)  # one frame only
        assert not health.failed(now_s)  # it was disabled already: nothing new to tell


def test_a_trial_that_succeeds_enables_and_one_that_was_not_shown_is_repeated() -> None:
    health = Health(EngineConfig(max_failures=1))
    assert health.failed(0.0)
    health.show()
    health.unshown()
    assert health.may_look(60.0)
    health.show()
    assert health.succeeded(61.0)
    assert health.enabled
    assert not health.succeeded(62.0)
    # Failing again soon is the same story, so it rests for longer; after a good while it is another.
    assert health.failed(70.0)
    assert disabled(health, 189.0)
    health.show()
    assert health.succeeded(200.0)
    assert health.failed(1000.0)
    assert health.may_look(1060.0)


# --- the order of leaving ---


def admitted(asked: Request) -> Admitted:
    return Admitted(request=asked, detectors=("seer",), since_s=0.0)


def end(inside: InFlight, one: Admitted) -> None:
    one.observations["seer"] = examined_by(Seer(), one.request.frame, ())
    inside.complete(one)


@given(st.permutations(range(6)), st.lists(st.booleans(), min_size=6, max_size=6))
def test_frames_leave_in_the_order_in_which_they_came(ends: list[int], pauses: list[bool]) -> None:
    inside = InFlight()
    frames = [admitted(request(at // 2, room_id=f"r{at % 2}")) for at in range(6)]
    for one in frames:
        inside.add(one)
    told: list[Admitted] = []
    for at, pause in zip(ends, pauses, strict=True):
        end(inside, frames[at])
        while not pause and (left := inside.take()):
            told.append(left)
            inside.told(left)
    while left := inside.take():
        told.append(left)
        inside.told(left)
    assert len(inside) == 0
    for room_id in ("r0", "r1"):
        seqs = [one.request.frame.seq for one in told if one.request.frame.room_id == room_id]
        assert seqs == [0, 1, 2]


def test_the_next_of_a_line_waits_until_the_listener_is_done_and_counts_as_inside() -> None:
    inside = InFlight()
    first, second, review = admitted(request(0)), admitted(request(1)), admitted(request(0, review=True))
    for one in (first, second, review):
        inside.add(one)
        end(inside, one)
    assert inside.take() is first
    assert inside.take() is review
    assert inside.take() is None
    assert inside.holds("r1", 1)
    assert not inside.holds("r1", 0)
    inside.told(first)
    assert inside.take() is second
    inside.told(second)
    assert not inside.holds("r1", 1)  # a review is not the room's stream
    assert len(inside) == 1


# --- load ---


def totals(at_s: float, arrived: int, admitted_: int, *busy_s: float) -> Totals:
    return Totals(at_s=at_s, arrived=arrived, admitted=admitted_, busy_s=busy_s)


def test_saturation_is_the_tightest_place_by_what_arrived_for_each_that_was_admitted() -> None:
    load = Load(4, [1, 2])
    assert load.saturation() == 0
    load.note(totals(0.0, 0, 0, 0.0, 0.0))
    load.note(totals(0.5, 99, 1, 0.5, 0.5))  # too soon to be a sample
    assert load.saturation() == 0
    load.note(totals(10.0, 30, 30, 5.0, 2.0))
    assert load.saturation() == pytest.approx(0.5)  # the first lane runs one batch at a time
    load.note(totals(20.0, 130, 80, 15.0, 10.0))
    assert load.saturation() == pytest.approx(1.0 * 100 / 50)
    load.note(totals(30.0, 130, 80, 15.0, 10.0))
    assert load.saturation() == 0


def test_saturation_sees_the_workers_where_they_are_the_tightest() -> None:
    load = Load(2, [4, 4])
    load.note(totals(0.0, 0, 0, 0.0, 0.0))
    load.note(totals(10.0, 10, 10, 8.0, 8.0))
    assert load.saturation() == pytest.approx(0.8)


# --- shares of the classes ---


class Pile:
    """A source with so many frames."""

    def __init__(self, frames: int, *, review: bool) -> None:
        self.frames = deque(request(at, review=review) for at in range(frames))

    def take(self, lead_s: float = 0.0) -> Request | None:
        assert lead_s == 0
        return self.frames.popleft() if self.frames else None

    def waiting(self) -> bool:
        return bool(self.frames)

    def arrived(self) -> int:
        return 0


def classes(admission: Admission, turns: int, work_s: dict[RequestClass, float]) -> list[RequestClass]:
    taken = []
    for _ in range(turns):
        asked = admission.take(0.0)
        assert asked is not None
        taken.append(asked.request_class)
        admission.charge(work_s[asked.request_class])
    return taken


def test_each_class_gets_its_share_of_the_work() -> None:
    live, review = RequestClass.LIVE, RequestClass.REVIEW

    def shares(work_s: dict[RequestClass, float]) -> Counter[RequestClass]:
        sources = {live: Pile(1000, review=False), review: Pile(1000, review=True)}
        return Counter(classes(Admission(sources, 0.1), 400, work_s))

    assert abs(shares({live: 0.1, review: 0.1})[review] - 40) <= 1
    dear = shares({live: 0.1, review: 0.9})
    assert dear[review] * 0.9 == pytest.approx(0.1 * (dear[review] * 0.9 + dear[live] * 0.1), rel=0.3)


def test_a_class_that_is_alone_takes_all_and_hoards_nothing() -> None:
    live, review = RequestClass.LIVE, RequestClass.REVIEW
    work_s = {live: 0.1, review: 0.1}
    sources = {live: Pile(0, review=False), review: Pile(300, review=True)}
    admission = Admission(sources, 0.1)
    assert set(classes(admission, 200, work_s)) == {review}
    sources[live].frames.extend(request(at) for at in range(100))
    taken = classes(admission, 100, work_s)
    assert 8 <= taken.count(review) <= 12
    assert max(len(list(run)) for one, run in itertools.groupby(taken) if one is live) <= 10
    assert Admission({live: Pile(0, review=False)}, 0.1).take(0.0) is None


# --- configuration ---


def test_a_schedule_is_read_as_a_file_gives_it() -> None:
    read = config({"age": {"every": "10s", "only_if": ["faces"], "max_seconds": "500ms"}}, workers=3)
    assert (read.schedule["age"].every, read.schedule["age"].max_seconds) == (10.0, 0.5)
    assert read.schedule["age"].only_if == ("faces",)
    assert read.engine.workers == 3
    with pytest.raises(ValidationError, match=r"schedule\.age\.evry"):
        config({"age": {"evry": "10s"}})
