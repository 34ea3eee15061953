"""Gates, run limits and shapes without a model: clocks are passed in, and only two tests start a thread."""

from __future__ import annotations

import logging
import threading

import pytest

from streammon.detect.runtime.gate import Gate
from streammon.detect.runtime.limits import RunLimits
from streammon.detect.runtime.shapes import ShapeBook


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Run:
    terminate = False


def test_a_gate_lets_so_many_in_and_no_more() -> None:
    gate = Gate(2)
    with gate.hold(0) as first, gate.hold(0) as second, gate.hold(0) as third:
        assert (first, second, third) == (True, True, False)
    with gate.hold(0) as again:
        assert again


def test_a_gate_lets_go_when_a_run_fails() -> None:
    gate = Gate(1)
    with pytest.raises(ValueError, match="run"), gate.hold(0):
        raise ValueError("run")
    with gate.hold(0) as free:
        assert free


def test_a_gate_adds_up_what_is_held_also_while_it_is() -> None:
    clock = Clock()
    gate = Gate(2, clock)
    clock.now_s += 5
    with gate.hold(0):
        clock.now_s += 1
        with gate.hold(0):
            clock.now_s += 1
            assert gate.busy_s() == 3
    clock.now_s += 5
    assert gate.busy_s() == 3


def test_the_earliest_limit_counts_and_the_outer_one_comes_back() -> None:
    clock = Clock()
    limits = RunLimits(clock)
    assert limits.left_s() is None
    with limits.limit(10):
        with limits.limit(3):
            assert limits.left_s() == 3
        with limits.limit(30):
            assert limits.left_s() == 10
        clock.now_s += 12
        assert limits.left_s() == -2
    assert limits.left_s() is None


def test_a_limit_is_its_threads_own() -> None:
    limits = RunLimits()
    seen = []
    with limits.limit(10):
        thread = threading.Thread(target=lambda: seen.append(limits.left_s()))
        thread.start()
        thread.join(5)
    assert seen == [None]


def test_only_what_is_overdue_and_goes_on_is_ended() -> None:
    clock = Clock()
    limits = RunLimits(clock)
    late, early, done = Run(), Run(), Run()
    with limits.limit(2), limits.watched(done):
        pass
    with limits.limit(5), limits.watched(late), limits.limit(2), limits.watched(early):
        clock.now_s += 1
        assert limits.end_overdue() == 1
        clock.now_s += 1
        assert limits.end_overdue() == 3
        assert (early.terminate, late.terminate, done.terminate) == (True, False, False)
    limits.close()


def test_what_a_threads_runs_took_is_added_up() -> None:
    clock = Clock()
    limits = RunLimits(clock)
    for _ in range(2):
        with limits.watched(Run()):
            clock.now_s += 4
    clock.now_s += 100
    assert limits.used_s() == 8


def test_the_watchdog_starts_with_the_first_limit_and_ends_with_its_owner() -> None:
    limits = RunLimits()
    with limits.watched(Run()):
        assert "run-limits" not in [thread.name for thread in threading.enumerate()]
    ended = threading.Event()

    class Seen(Run):
        def __setattr__(self, name: str, value: object) -> None:
            ended.set()

    with limits.limit(60), limits.watched(Run()), limits.limit(0.05), limits.watched(Seen()):
        assert ended.wait(5)
    limits.close()
    limits.close()
    assert "run-limits" not in [thread.name for thread in threading.enumerate()]


def test_a_new_shape_is_told_once_and_only_after_warming_up(caplog: pytest.LogCaptureFixture) -> None:
    book = ShapeBook("net", "openvino")
    with caplog.at_level(logging.WARNING):
        book.note([(1, 3)])
        book.warmed_up()
        book.note([(1, 3)])
        assert caplog.text == ""
        for _ in range(3):
            book.note([(4, 3), (2,)])
    assert len(caplog.records) == 1
    assert "model net meets the new shape 4x3, 2: openvino compiles it anew" in caplog.text
