"""The engine with its threads: everything is told, in order, whatever detectors, sources and listeners do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import pytest

from streammon import entities
from streammon.detect.detector import Found
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import Examined, Request, RequestClass
from streammon.detect.scheduling.shared import Hooks
from streammon.entities import Detection, Frame, Outcome, Unexamined
from streammon.errors import StreammonError
from tests.unit.scheduling import Box, Build, Ear, Seer, benches, config, frame, request, wait_for


@pytest.fixture
def build() -> Iterator[Build]:
    """Makes engines whose threads must all be gone at the end."""
    with benches() as make:
        yield make


def test_every_frame_is_told_with_all_that_was_seen_and_what_it_cost(build: Build) -> None:
    detectors = [Seer("skin", takes_s=0.005), Seer("text", lambda _: False)]
    bench = build(*detectors)
    asked = Request(frame=frame(7, received_s=3.0), owner="tenant-1")
    bench.live.put(asked)
    assert bench.engine.drain(5)
    (told,) = bench.ear.heard
    assert told.request is asked
    assert [(one.detector, one.outcome, one.at_s) for one in told.observations] == [
        ("skin", Outcome.EXAMINED, 3.0),
        ("text", Outcome.EXAMINED, 3.0),
    ]
    assert [one.detections for one in told.observations] == [(detectors[0].hit(),), ()]
    assert told.observations[0].labels == {"violence.skin"}
    assert set(told.cost) == {"skin", "text"}
    assert 0 < told.cost["skin"].cpu_s < 0.005  # it slept: time that nobody worked is no cost
    assert sorted((name, frames) for name, _, frames in bench.ear.runs) == [("skin", 1), ("text", 1)]


def test_all_frames_of_a_room_are_told_in_order_by_whatever_thread(build: Build) -> None:
    quick = Seer("quick", parallel=3, max_batch=1, takes_s=0.001)

    def unevenly(one: Frame) -> bool:
        time.sleep(0.003 * (one.seq % 3))
        return True

    uneven = Seer("uneven", unevenly, parallel=3, max_batch=2)
    bench = build(quick, uneven, known=config(workers=4, max_in_flight=12))
    for seq in range(40):
        for room_id in ("a", "b", "c"):
            bench.put(seq, room_id=room_id)
    assert bench.engine.drain(10)
    for room_id in ("a", "b", "c"):
        seqs = [one.request.frame.seq for one in bench.ear.heard if one.request.frame.room_id == room_id]
        assert seqs == list(range(40))
    assert quick.most_running > 1


def test_frames_that_wait_while_a_batch_runs_become_the_next_one(build: Build) -> None:
    go = threading.Event()
    seer = Seer(finds=lambda _: go.wait(5), max_batch=4)
    bench = build(seer, known=config(workers=2, max_in_flight=8))
    bench.put(0)
    wait_for(lambda: seer.batches == [(0,)])
    bench.put(*range(1, 7))
    wait_for(lambda: bench.engine.inside() == 7)
    go.set()
    assert bench.engine.drain(5)
    assert seer.batches == [(0,), (1, 2, 3, 4), (5, 6)]
    assert seer.most_running == 1


def test_one_detector_does_not_wait_for_another(build: Build) -> None:
    go = threading.Event()
    slow, quick = Seer("slow", lambda _: go.wait(5)), Seer("quick")
    bench = build(slow, quick, known=config(workers=2, max_in_flight=6))
    bench.put(0, 1, 2)
    wait_for(lambda: sum(quick.batches, ()) == (0, 1, 2))
    assert bench.ear.heard == []
    go.set()
    assert bench.engine.drain(5)


def test_no_more_is_inside_than_was_said_and_what_is_overdue_outside_stays_outside(build: Build) -> None:
    go = threading.Event()
    bench = build(Seer(finds=lambda _: go.wait(5), max_batch=1), known=config(workers=2, max_in_flight=3))
    soon_s = time.monotonic() + 0.1
    for seq in range(50):
        bench.live.put(request(seq, deadline_s=soon_s if seq >= 3 else 1e9))
    wait_for(lambda: bench.engine.inside() == 3)
    time.sleep(0.15)
    assert bench.engine.inside() == 3
    assert len(bench.live._rooms["r1"]) == 47  # none has slipped in
    go.set()
    assert bench.engine.drain(5)
    assert [one.request.frame.seq for one in bench.ear.heard] == [0, 1, 2]
    assert bench.live.dropped.total() == 47


def test_where_nothing_gains_from_batches_as_many_are_inside_as_there_are_workers(build: Build) -> None:
    go = threading.Event()
    bench = build(Seer(finds=lambda _: go.wait(5), max_batch=1), known=config(workers=3))
    bench.put(*range(9))
    wait_for(lambda: bench.engine.inside() == 3)
    time.sleep(0.15)
    assert bench.engine.inside() == 3
    go.set()
    assert bench.engine.drain(5)


def test_holds_covers_a_frame_from_the_source_to_the_listener(build: Build) -> None:
    told, go = threading.Event(), threading.Event()

    class Slow(Ear):
        def examined(self, examined: Examined) -> None:
            told.set()
            go.wait(5)
            super().examined(examined)

    bench = build(Seer(), ear=Slow())
    bench.put(0)
    assert told.wait(5)
    wait_for(lambda: not bench.engine._shared.taking)
    assert bench.engine.holds("r1", 1)
    assert not bench.engine.holds("r1", 0)
    assert not bench.engine.holds("other", 1)
    assert not bench.engine.drain(0.05)
    go.set()
    assert bench.engine.drain(5)
    wait_for(lambda: not bench.engine.holds("r1", 1))


def test_a_frame_that_is_being_taken_is_held_and_not_drained(build: Build) -> None:
    taking, go = threading.Event(), threading.Event()

    class Heavy(Box):
        def take(self, lead_s: float = 0.0) -> Request | None:
            asked = super().take(lead_s)
            if asked is not None:
                taking.set()
                go.wait(5)
            return asked

    heavy = Heavy()
    engine = Engine([Seer()], {RequestClass.LIVE: heavy}, Ear(), config(workers=1))
    heavy.put(request(0))
    engine.start()
    assert taking.wait(5)
    assert not heavy.waiting()
    assert engine.holds("r1", 1)
    assert not engine.drain(0.02)
    go.set()
    assert engine.drain(5)
    assert not engine.holds("r1", 1)
    assert engine.close()


def test_room_inside_is_filled_at_once(build: Build) -> None:
    class Slow(Ear):
        def examined(self, examined: Examined) -> None:
            time.sleep(0.002)
            super().examined(examined)

    bench = build(Seer(), known=config(workers=1, max_in_flight=1), ear=Slow())
    started_s = time.monotonic()
    bench.put(*range(60))
    assert bench.engine.drain(5)
    assert time.monotonic() - started_s < 1.5  # had each waited for the dispatcher's next look, it would be 3 s


def test_reviews_get_their_share_and_all_of_it_when_alone(build: Build) -> None:
    seer = Seer(max_batch=1, takes_s=0.001)
    bench = build(seer, known=config(workers=1, max_in_flight=2, review_share=0.25), start=False)
    for seq in range(150):
        bench.live.put(request(seq))
        bench.review.put(request(seq, room_id="picture", review=True))
    bench.engine.start()
    wait_for(lambda: len(bench.ear.heard) >= 120)
    classes = Counter(one.request.request_class for one in bench.ear.heard[20:120])
    assert 10 <= classes[RequestClass.REVIEW] <= 40
    assert bench.engine.drain(5)
    assert len(bench.ear.heard) == 300


# --- what stands around it ---


class Memory:
    """Says of even frames that nothing is new in them to the detector called seer, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, list[str]]] = []

    def unchanged(self, frame: Frame, detectors: Sequence[str], now_s: float) -> Collection[str]:
        assert now_s > 0
        self.asked.append((frame.seq, list(detectors)))
        return [name for name in detectors if name == "seer" and frame.seq % 2 == 0]

    def part(self, frame: Frame, detector: str) -> entities.Box | None:
        """Of every third frame, its left half."""
        return entities.Box(x=0.0, y=0.0, w=0.5, h=1.0) if frame.seq % 3 == 0 and detector == "seer" else None


def test_unchanged_pictures_are_not_shown(build: Build) -> None:
    memory = Memory()
    known = config({"rare": {"every": "1h"}}, workers=2)
    bench = build(Seer(), Seer("rare"), hooks=Hooks(reuse=memory), known=known)
    bench.put(0, 1, 2, 3)
    assert bench.engine.drain(5)
    reasons = {seq: one.unexamined for seq, one in bench.ear.observations("seer").items()}
    assert reasons == {0: Unexamined.UNCHANGED, 1: None, 2: Unexamined.UNCHANGED, 3: None}
    # Asked for those that are due only: a print of the picture is not taken for nobody.
    assert memory.asked == [(0, ["seer", "rare"]), (1, ["seer"]), (2, ["seer"]), (3, ["seer"])]


class Screener(Seer):
    """Sees nothing in the parts of frames before the sixth."""

    def __init__(self) -> None:
        super().__init__(max_batch=4)
        self.screened: list[int] = []

    def may_see(self, frame: Frame, part: entities.Box) -> bool:
        assert part.w == 0.5
        self.screened.append(frame.seq)
        return frame.seq >= 6


def test_where_there_is_nothing_in_what_has_changed_nobody_looks(build: Build) -> None:
    screener = Screener()
    known = config({"behind": {"only_if": ["seer"]}}, workers=1)
    bench = build(screener, Seer("behind"), hooks=Hooks(reuse=Memory()), known=known, start=False)
    bench.put(1, 3, 5, 9)
    bench.engine.start()
    assert bench.engine.drain(5)
    reasons = {seq: one.unexamined for seq, one in bench.ear.observations("seer").items()}
    assert reasons == {1: None, 3: Unexamined.NOTHING_NEW, 5: None, 9: None}
    assert screener.screened == [3, 9]
    assert {seq for batch in screener.batches for seq in batch} == {1, 5, 9}
    gated = {seq: one.unexamined for seq, one in bench.ear.observations("behind").items()}
    assert gated == {1: None, 3: Unexamined.GATE, 5: None, 9: None}


def test_a_detector_that_cannot_screen_is_shown_all_frames(build: Build) -> None:
    bench = build(Seer(), hooks=Hooks(reuse=Memory()))
    bench.put(1, 3, 9)
    assert bench.engine.drain(5)
    assert {one.unexamined for one in bench.ear.observations("seer").values()} == {None}


class Meter:
    """A runtime whose provider is held for a second per run, and that notes the limits it was given."""

    def __init__(self) -> None:
        self.limits: list[float] = []
        self._used = threading.local()

    def limit(self, seconds: float) -> AbstractContextManager[object]:
        @contextmanager
        def limited() -> Iterator[None]:
            self.limits.append(seconds)
            yield
            self._used.s = self.used_s() + 1.0

        return limited()

    def used_s(self) -> float:
        used: float = getattr(self._used, "s", 0.0)
        return used


def test_runs_are_limited_and_the_provider_is_charged_for_alike_over_a_batch(build: Build) -> None:
    meter = Meter()
    bench = build(
        Seer(max_batch=4),
        known=config({"seer": {"max_seconds": "3s"}}, workers=1),
        hooks=Hooks(runtime=meter),
        start=False,
    )
    bench.put(0, 1, 2, 3)
    bench.engine.start()
    assert bench.engine.drain(5)
    assert set(meter.limits) == {3.0}
    spent = sum(one.cost["seer"].provider_s for one in bench.ear.heard)
    assert spent == pytest.approx(len(meter.limits))


def test_a_gated_detector_is_given_what_its_gates_found(build: Build) -> None:
    class Informed(Seer):
        given: tuple[Found, ...] = ()

        def detect_in(self, frames: Sequence[Frame], found: Sequence[Mapping[str, tuple[Detection, ...]]]) -> object:
            self.given = tuple(found)
            return self.detect(frames)

    faces, age = Seer("faces"), Informed("age")
    bench = build(faces, age, known=config({"age": {"only_if": ["faces"]}}, workers=2))
    bench.put(0)
    assert bench.engine.drain(5)
    assert age.given == ({"faces": (faces.hit(),)},)


# --- life ---


def test_it_stops_under_load_and_lets_go_of_all_models(build: Build) -> None:
    seer = Seer(takes_s=0.005, parallel=2)
    bench = build(seer)
    bench.put(*range(500))
    wait_for(lambda: len(bench.ear.heard) > 5)
    assert bench.engine.close(2)
    heard = len(bench.ear.heard)
    assert seer.closed
    assert bench.engine.close(2)
    assert not bench.engine.alive
    time.sleep(0.02)
    assert len(bench.ear.heard) == heard


def test_a_model_that_is_still_in_use_is_not_closed(build: Build) -> None:
    go = threading.Event()
    stuck, fine = Seer("stuck", lambda _: go.wait(10)), Seer("fine")
    bench = build(stuck, fine)
    bench.put(0)
    wait_for(lambda: stuck.running == 1)
    assert not bench.engine.close(0.05)
    assert (stuck.closed, fine.closed) == (False, True)
    go.set()


def test_a_source_that_wakes_nobody_is_looked_at_all_the_same(build: Build) -> None:
    bench = build(Seer())
    bench.live.wake = lambda: None
    time.sleep(0.02)
    bench.put(0)
    wait_for(lambda: len(bench.ear.heard) == 1)


def test_warm_up_reaches_every_detector(build: Build) -> None:
    detectors = [Seer("a"), Seer("b")]
    bench = build(*detectors, start=False)
    bench.engine.warm_up()
    assert all(one.warm for one in detectors)
    assert bench.engine.detectors == tuple(detectors)
    assert not bench.engine.alive
    assert bench.engine.saturation() == 0


def test_without_detectors_or_with_an_absent_gate_there_is_no_engine() -> None:
    with pytest.raises(StreammonError, match="no detector is switched on"):
        Engine([], {}, Ear(), config())
    with pytest.raises(StreammonError, match="faces is not switched on"):
        Engine([Seer("age")], {}, Ear(), config({"age": {"only_if": ["faces"]}}))


def test_a_schedule_for_a_detector_that_is_not_there_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Engine([Seer("qr")], {}, Ear(), config({"qr": {"every": "2s"}, "ocrr": {"every": "9s"}}))
    assert [record.message for record in caplog.records] == [
        "detect.schedule names detectors that are not switched on: ocrr"
    ]
