"""Blind time: every second in which a room is not watched has one cause, and no second has two."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.fleet.blind import BlindClock


class Room:
    """A blind clock, and what it has told the metrics."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.told: dict[str, float] = defaultdict(float)
        self.clock = BlindClock(now_s, self.tell)

    def tell(self, cause: str, seconds: float) -> None:
        self.told[cause] += seconds

    def totals(self) -> dict[str, float]:
        return {blind.cause: blind.seconds for blind in self.clock.totals()}


def test_a_room_is_blind_from_the_start() -> None:
    room = Room()
    room.clock.accrue(102.5)
    assert room.totals() == {"connecting": 2.5}
    assert room.told == {"connecting": 2.5}


def test_a_room_that_is_watched_is_not_blind() -> None:
    room = Room()
    room.clock.set_cause(None, 101.0)
    room.clock.accrue(150.0)
    room.clock.set_cause("stalled", 160.0)
    room.clock.accrue(161.0)
    room.clock.set_cause(None, 163.5)
    room.clock.accrue(900.0)
    assert room.totals() == room.told == {"connecting": 1.0, "stalled": 3.5}


def test_causes_add_up_and_come_in_order() -> None:
    room = Room()
    for cause, now_s in [("unreachable", 101.0), ("connecting", 103.0), ("unreachable", 106.0), (None, 110.0)]:
        room.clock.set_cause(cause, now_s)
    assert room.totals() == {"connecting": 4.0, "unreachable": 6.0}
    assert list(room.totals()) == sorted(room.totals())


def test_metrics_move_while_a_room_stays_blind_and_nothing_is_counted_twice() -> None:
    room = Room()
    for tick in range(1, 11):
        room.clock.accrue(100.0 + tick / 2)
        assert room.told["connecting"] == pytest.approx(tick / 2)
    room.clock.accrue(105.0)
    assert room.totals() == {"connecting": 5.0}


causes = st.sampled_from([None, "connecting", "stalled", "unreachable"])


@given(st.lists(st.tuples(causes, st.floats(0, 1000)), max_size=30))
def test_blind_and_watched_time_make_the_whole_time(steps: list[tuple[str | None, float]]) -> None:
    room = Room(0.0)
    now_s = watched_s = 0.0
    cause: str | None = "connecting"
    for following, seconds in steps:
        now_s += seconds
        watched_s += seconds if cause is None else 0.0
        room.clock.set_cause(following, now_s)
        cause = following
    assert sum(room.told.values()) + watched_s == pytest.approx(now_s)
    assert room.totals() == pytest.approx(dict(room.told), abs=1e-3)


def test_a_watched_room_is_blind_for_each_detector_that_is_off_and_for_no_second_twice() -> None:
    room = Room()
    room.clock.set_disabled(["nsfw", "ocr"], 101.0)
    room.clock.set_cause(None, 103.0)
    room.clock.set_disabled(["ocr"], 104.0)
    room.clock.set_cause("stalled", 106.0)
    room.clock.accrue(107.0)
    assert room.totals() == {"connecting": 3.0, "detector:nsfw": 1.0, "detector:ocr": 3.0, "stalled": 1.0}
    assert room.told == room.totals()
