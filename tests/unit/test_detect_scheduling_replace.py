"""A detector is replaced while the engine runs: nothing is lost, told twice or blamed on the wrong one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.config import DetectorSchedule, EngineConfig, ReuseConfig
from streammon.detect.scheduling.inflight import Admitted
from streammon.detect.scheduling.lane import Lane
from streammon.detect.scheduling.running import NoRuntime, run
from streammon.entities import Frame, Outcome, Unexamined
from streammon.errors import ModelError
from tests.unit.colours import RED
from tests.unit.colours import frame as coloured
from tests.unit.scheduling import Build, Seer, benches, config, request, wait_for


@pytest.fixture
def build() -> Iterator[Build]:
    """Makes engines whose threads must all be gone at the end."""
    with benches() as make:
        yield make


def version(number: int, **settings: object) -> Seer:
    """A seer of this version."""
    made = Seer("seer", **settings)  # type: ignore[arg-type]
    made.model = f"seer-{number}"
    return made


def test_under_load_every_frame_is_told_once_by_the_one_that_looked_at_it(build: Build) -> None:
    versions = [version(number, parallel=2, takes_s=0.0005) for number in range(5)]
    other = Seer("other", takes_s=0.0002)
    bench = build(versions[0], other, known=config(workers=3, max_in_flight=12))
    before = []
    for number, following in enumerate(versions[1:], start=1):
        for seq in range(40 * (number - 1), 40 * number):
            for room_id in ("a", "b"):
                bench.put(seq, room_id=room_id)
        wait_for(lambda: sum(map(len, versions[number - 1].batches)) > 10)  # noqa: B023
        before.append(bench.engine.replace("seer", following))
    assert bench.engine.drain(10)
    assert before == versions[:-1]
    assert bench.engine.detectors == (versions[-1], other)
    for room_id in ("a", "b"):
        told = [one for one in bench.ear.heard if one.request.frame.room_id == room_id]
        assert [one.request.frame.seq for one in told] == list(range(160))
        assert all(seen.outcome is Outcome.EXAMINED for one in told for seen in one.observations)
    said = [one.observations[0].detections[0].model for one in bench.ear.heard]
    assert {model: said.count(model) for model in set(said)} == {
        one.model: sum(map(len, one.batches)) for one in versions if one.batches
    }
    assert len(set(said)) > 1


def test_a_batch_that_runs_ends_with_the_one_it_began_with(build: Build) -> None:
    go = threading.Event()
    old, new = version(1, finds=lambda _: go.wait(5)), version(2)
    bench = build(old, known=config(workers=2, max_in_flight=8))
    bench.put(0)
    wait_for(lambda: old.batches == [(0,)])
    assert bench.engine.replace("seer", new) is old
    assert bench.engine.in_use(old)
    assert not bench.engine.in_use(new)
    bench.put(1)
    assert new.batches == []  # no more run at once than before
    go.set()
    assert bench.engine.drain(5)
    models = {seq: one.detections[0].model for seq, one in bench.ear.observations("seer").items()}
    assert models == {0: "seer-1", 1: "seer-2"}
    assert not bench.engine.in_use(old)


def failing(_: Frame) -> bool:
    raise ModelError("no")


def test_the_failures_of_the_one_before_are_not_the_new_ones(build: Build) -> None:
    go, first = threading.Event(), threading.Event()
    first.set()

    def fails(one: Frame) -> bool:
        if not first.is_set():
            go.wait(5)
        first.clear()
        return failing(one)

    old, new = version(1, finds=fails), version(2)
    bench = build(old, known=config(workers=2, max_in_flight=8, max_failures=1))
    bench.put(0)
    wait_for(lambda: old.batches == [(0,), (0,)])  # it has failed, and is tried once more
    bench.engine.replace("seer", new)
    go.set()
    assert bench.engine.drain(5)
    assert bench.ear.observations("seer")[0].unexamined is Unexamined.FAILED
    bench.put(1)
    assert bench.engine.drain(5)
    assert bench.ear.changes == []
    assert bench.ear.observations("seer")[1].detections[0].model == "seer-2"


def test_what_failed_before_is_tried_once_more_by_the_new_one(build: Build) -> None:
    go = threading.Event()

    def fails(one: Frame) -> bool:
        go.wait(5)
        return failing(one)

    old, new = version(1, finds=fails), version(2)
    bench = build(old, known=config(workers=2, max_in_flight=8))
    bench.put(0)
    wait_for(lambda: old.batches == [(0,)])
    bench.engine.replace("seer", new)
    go.set()
    assert bench.engine.drain(5)
    assert bench.ear.observations("seer")[0].detections[0].model == "seer-2"


def test_a_batch_that_has_started_is_shown_to_the_one_it_started_with() -> None:
    old, new = version(1), version(2)
    lane = Lane(old, DetectorSchedule(), EngineConfig())
    lane.put(Admitted(request=request(3), detectors=("seer",), since_s=0.0), 0.0)
    batch = lane.start(0.0)
    batch.found = ({},)
    assert lane.replace(new) is old
    came = run(batch, NoRuntime(), None)
    assert came.found is not None
    (found,) = came.found
    assert found is not None
    assert (found[0].model, old.batches, new.batches) == ("seer-1", [(3,)], [])


def test_one_that_was_disabled_is_enabled_with_its_successor(build: Build) -> None:
    old, new = version(1, finds=failing), version(2)
    bench = build(old, known=config(workers=2, max_failures=1, disabled_for=600, disabled_at_most=600))
    bench.put(0)
    assert bench.engine.drain(5)
    bench.put(1)
    assert bench.engine.drain(5)
    assert bench.ear.observations("seer")[1].unexamined is Unexamined.DISABLED
    bench.engine.replace("seer", new)
    bench.put(2)
    assert bench.engine.drain(5)
    assert bench.ear.observations("seer")[2].outcome is Outcome.EXAMINED
    assert bench.ear.changes == [("seer", "ModelError: no"), ("seer", None)]


def test_the_size_of_batches_is_the_new_ones(build: Build) -> None:
    go = threading.Event()
    old, new = version(1, finds=lambda _: go.wait(5), max_batch=1), version(2, max_batch=3)
    bench = build(old, known=config(workers=2, max_in_flight=8))
    bench.put(*range(7))
    wait_for(lambda: bench.engine.inside() == 7 and old.batches == [(0,)])
    bench.engine.replace("seer", new)
    go.set()
    assert bench.engine.drain(5)
    assert new.batches == [(1, 2, 3), (4, 5, 6)]


def test_the_engine_closes_the_new_one_and_leaves_the_one_before_to_its_owner(build: Build) -> None:
    old, new = version(1), version(2)
    bench = build(old)
    bench.engine.replace("seer", new)
    assert bench.engine.close()
    assert (old.closed, new.closed) == (False, True)


def test_one_that_is_not_there_cannot_be_replaced(build: Build) -> None:
    with pytest.raises(KeyError):
        build(Seer()).engine.replace("faces", Seer("faces"))


def test_no_picture_that_was_seen_before_is_reused_after() -> None:
    reuse = RoomReuse(ReuseConfig())
    seen, on_its_way, still = (coloured(RED, float(at_s), seq=at_s) for at_s in (1, 2, 3))
    assert reuse.unchanged(seen, ["seer"], 1) == set()
    reuse.judged(seen, ["seer"], hold=False)
    assert reuse.unchanged(on_its_way, ["seer"], 2) == {"seer"}
    reuse.forget_all()
    reuse.judged(on_its_way, ["seer"], hold=False)
    assert reuse.unchanged(still, ["seer"], 3) == set()
