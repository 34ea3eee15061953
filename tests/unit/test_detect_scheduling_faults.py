"""The engine with its threads, and what goes wrong: detectors that raise, answer nonsense or hang; faults of others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import Examined, Request, RequestClass
from streammon.entities import Detection, Frame, Outcome, Unexamined
from streammon.errors import ModelError
from tests.unit.scheduling import Box, Build, Ear, Seer, benches, config, request, wait_for


@pytest.fixture
def build() -> Iterator[Build]:
    """Makes engines whose threads must all be gone at the end."""
    with benches() as make:
        yield make


def test_a_poisoned_frame_costs_only_its_own_observation(build: Build) -> None:
    def poisoned(one: Frame) -> bool:
        if one.seq == 5:
            raise MemoryError("no room for the picture")
        return True

    flaky, steady = Seer("flaky", poisoned), Seer("steady")
    bench = build(flaky, steady)
    bench.put(*range(12))
    assert bench.engine.drain(5)
    seen = bench.ear.observations("flaky")
    assert {seq for seq, one in seen.items() if one.outcome is Outcome.NOT_EXAMINED} == {5}
    assert seen[5].unexamined is Unexamined.FAILED
    assert all(one.outcome is Outcome.EXAMINED for one in bench.ear.observations("steady").values())
    assert bench.ear.changes == []


def test_the_wrong_number_of_answers_is_a_failure(build: Build) -> None:
    class Mute(Seer):
        def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
            return super().detect(frames)[1:]

    bench = build(Mute())
    bench.put(0)
    assert bench.engine.drain(5)
    assert bench.ear.observations("seer")[0].unexamined is Unexamined.FAILED


def test_a_detector_that_always_fails_is_disabled_tried_again_and_enabled(build: Build) -> None:
    broken = threading.Event()
    broken.set()

    def sees(_: Frame) -> bool:
        if broken.is_set():
            raise ModelError("no")
        return True

    bench = build(Seer("bad", sees), Seer("good"), known=config(workers=2, max_failures=3, disabled_for=0.1))
    bench.put(*range(10))
    assert bench.engine.drain(5)
    assert bench.ear.changes == [("bad", "ModelError: no")]
    reasons = Counter(one.unexamined for one in bench.ear.observations("bad").values())
    assert reasons[Unexamined.FAILED] >= 3
    assert reasons[Unexamined.DISABLED] >= 1
    assert all(one.outcome is Outcome.EXAMINED for one in bench.ear.observations("good").values())
    broken.clear()
    time.sleep(0.12)
    bench.put(10)
    assert bench.engine.drain(5)
    assert bench.ear.changes[1:] == [("bad", None)]
    assert bench.ear.observations("bad")[10].outcome is Outcome.EXAMINED


def test_a_detector_that_hangs_is_given_up_and_the_others_go_on(build: Build) -> None:
    go = threading.Event()

    def sees(one: Frame) -> bool:
        return one.seq != 3 or go.wait(10)

    quick = config({"hangs": {"max_seconds": 0.1, "max_batch": 1}}, workers=2)
    bench = build(Seer("hangs", sees), Seer("fine"), known=quick)
    bench.put(*range(8))
    assert bench.engine.drain(5)
    seen = bench.ear.observations("hangs")
    assert {seq: one.unexamined for seq, one in seen.items() if one.unexamined} == {3: Unexamined.FAILED}
    assert len(bench.ear.observations("fine")) == 8
    assert bench.engine.given_up == 1
    assert bench.engine.alive
    go.set()
    wait_for(lambda: bench.engine.given_up == 0)  # what came back late is told to nobody
    assert len(bench.ear.heard) == 8
    assert bench.engine.alive


def test_too_many_hung_threads_end_the_engine(build: Build) -> None:
    go = threading.Event()
    known = config({"seer": {"max_seconds": 0.05, "max_batch": 1}}, workers=1, max_given_up=1, max_failures=100)
    bench = build(Seer(finds=lambda _: go.wait(10)), known=known)
    bench.put(0, 1, 2)
    wait_for(lambda: bool(bench.ear.failures))
    assert [str(one) for one in bench.ear.failures] == ["2 threads hang in detectors; the log names them"]
    assert not bench.engine.alive
    bench.put(9)
    assert not bench.engine.drain(60)  # at once: there is nobody to wait for
    assert not bench.engine.close(0.1)
    go.set()


def test_a_fault_of_the_listener_ends_the_engine_and_is_told(build: Build) -> None:
    class Deaf(Ear):
        def examined(self, examined: Examined) -> None:
            raise KeyError(examined.request.frame.room_id)

    bench = build(Seer(), ear=Deaf())
    bench.put(0)
    wait_for(lambda: bool(bench.ear.failures))
    assert bench.engine.failure is bench.ear.failures[0]
    assert "a fault of its own" in str(bench.engine.failure)
    assert not bench.engine.alive


def test_a_fault_of_a_source_ends_the_engine(build: Build) -> None:
    class Torn(Box):
        def take(self, lead_s: float = 0.0) -> Request | None:
            raise OSError(f"its memory is gone, and {lead_s} s do not help")

    torn = Torn()
    ear = Ear()
    torn.put(request(0))
    engine = Engine([Seer()], {RequestClass.LIVE: torn}, ear, config(workers=1))
    engine.start()
    wait_for(lambda: bool(ear.failures))
    assert not engine.alive
    assert engine.close()
