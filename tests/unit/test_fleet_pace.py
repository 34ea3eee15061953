"""Pace: rooms are sampled faster after a hit and more slowly while quiet, within bounds and without flapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streammon.fleet.pace import Pace, Tempo
from streammon.fleet.pace_config import AfterHitConfig, PaceConfig, QuietConfig

CONFIG = PaceConfig(
    hold=5.0,
    after_hit=AfterHitConfig(interval=0.5, lasts=20.0, overload_share=0.25),
    quiet=QuietConfig(after=60.0, most=2.0),
)


def pace(*room_ids: str, config: PaceConfig = CONFIG, usual_s: float = 2.0, slowest_s: float = 5.0) -> Pace:
    made = Pace(config)
    for room_id in room_ids:
        made.add(room_id, usual_s, slowest_s, 0.0)
    return made


def test_a_room_without_a_hit_keeps_its_interval_until_it_is_quiet() -> None:
    rooms = pace("a")
    assert rooms.tick(0.0) == rooms.tick(59.9) == []
    assert rooms.tick(60.0) == [("a", 4.0)]
    assert rooms.tick(61.0) == []


def test_a_hit_speeds_its_room_up_for_a_while() -> None:
    rooms = pace("a", "b")
    rooms.hit("a", 10.0)
    assert rooms.tick(10.1) == [("a", 0.5)]
    assert rooms.tick(29.9) == []
    assert rooms.tick(30.0) == [("a", 2.0)]


def test_each_hit_prolongs_the_while() -> None:
    rooms = pace("a")
    for now_s in (10.0, 25.0, 40.0):
        rooms.hit("a", now_s)
        rooms.tick(now_s)
    assert rooms.tick(59.9) == []
    assert rooms.tick(60.0) == [("a", 2.0)]


def test_a_quiet_room_is_sped_up_at_once() -> None:
    rooms = pace("a")
    rooms.tick(60.0)
    rooms.hit("a", 61.0)
    assert rooms.tick(61.0) == [("a", 0.5)]


def test_quiet_is_counted_from_the_last_hit() -> None:
    rooms = pace("a")
    rooms.hit("a", 50.0)
    rooms.tick(50.0)
    rooms.tick(70.0)
    assert rooms.tick(109.9) == []
    assert rooms.tick(110.0) == [("a", 4.0)]


@pytest.mark.parametrize(("slowest_s", "changes"), [(3.0, [("a", 3.0)]), (2.0, []), (0.7, [])])
def test_a_quiet_room_can_still_confirm(slowest_s: float, changes: list[tuple[str, float]]) -> None:
    assert pace("a", slowest_s=slowest_s).tick(60.0) == changes


def test_a_policy_that_needs_more_pictures_takes_the_slowness_back() -> None:
    rooms = pace("a")
    rooms.tick(60.0)
    rooms.bound("a", 2.5)
    assert rooms.tick(61.0) == [("a", 2.5)]
    rooms.bound("a", 1.0)
    assert rooms.tick(62.0) == [("a", 2.0)]
    assert rooms.tempos[Tempo.SLOW] == 0


def test_a_room_that_is_sampled_faster_anyway_is_left_alone() -> None:
    rooms = pace("a", usual_s=0.2)
    rooms.hit("a", 1.0)
    assert rooms.tick(1.0) == []


def test_switched_off_nothing_changes() -> None:
    rooms = pace("a", config=PaceConfig(enabled=False))
    rooms.hit("a", 1.0)
    assert rooms.tick(1.0) == rooms.tick(1000.0) == []


def test_a_room_that_is_gone_is_not_told_of_and_one_that_is_unknown_is_passed_over() -> None:
    rooms = pace("a")
    rooms.hit("a", 1.0)
    rooms.remove("a")
    rooms.remove("never")
    rooms.hit("never", 1.0)
    rooms.bound("never", 1.0)
    assert rooms.tick(1.0) == []
    assert sum(rooms.tempos.values()) == 0


def test_a_room_that_is_added_anew_begins_at_its_interval() -> None:
    rooms = pace("a")
    rooms.hit("a", 1.0)
    rooms.tick(1.0)
    rooms.add("a", 1.0, 5.0, 2.0)
    assert rooms.tick(3.0) == []


def test_under_overload_only_a_share_is_sped_up_and_those_that_were_fast_stay_so() -> None:
    rooms = pace(*"abcdefgh")
    rooms.hit("c", 1.0)
    assert rooms.tick(1.0, 0.5) == [("c", 0.5)]
    for room_id in "abdefgh":
        rooms.hit(room_id, 2.0 + ord(room_id) / 1000)
    assert rooms.tick(3.0, 1.01) == [("h", 0.5)], "two of eight: the one that was fast, and the latest hit"
    assert rooms.tempos == {Tempo.FAST: 2, Tempo.USUAL: 6, Tempo.SLOW: 0}


def test_overload_takes_speed_away_and_ends_below_its_bound_only() -> None:
    rooms = pace(*"abcd")
    for room_id in "abcd":
        rooms.hit(room_id, 1.0)
    rooms.tick(1.0, 0.0)
    assert sorted(rooms.tick(2.0, 1.5)) == [("b", 2.0), ("c", 2.0), ("d", 2.0)]
    assert rooms.tick(8.0, 0.95) == [], "not clearly over"
    assert sorted(rooms.tick(9.0, 0.9)) == [("b", 0.5), ("c", 0.5), ("d", 0.5)]


def test_speed_that_was_taken_away_is_not_given_back_within_the_hold() -> None:
    rooms = pace("a")
    rooms.hit("a", 1.0)
    rooms.tick(1.0)
    assert rooms.tick(2.0, 2.0) == [("a", 2.0)]
    assert rooms.tick(3.0, 0.1) == []
    assert rooms.tick(6.0, 0.1) == [("a", 0.5)]


@pytest.mark.parametrize("wrong", [{"interval": 0.05}, {"lasts": 0}, {"overload_share": 1.5}])
def test_config_is_bounded(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AfterHitConfig.model_validate(wrong)


def test_the_config_reads_durations() -> None:
    read = PaceConfig.model_validate({"after_hit": {"interval": "500ms", "lasts": "20s"}, "quiet": {"after": "1m"}})
    assert (read.after_hit.interval, read.after_hit.lasts, read.quiet.after) == (0.5, 20.0, 60.0)


rooms_st = st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 20)), min_size=1, max_size=8)
steps_st = st.lists(st.tuples(st.floats(0.1, 90), st.sets(st.integers(0, 7)), st.floats(0, 2)), min_size=1, max_size=60)


@given(rooms_st, steps_st)
def test_intervals_stay_in_bounds_overload_is_heeded_and_rooms_do_not_flap(
    made: list[tuple[float, float]], steps: list[tuple[float, set[int], float]]
) -> None:
    rooms, now_s = Pace(CONFIG), 0.0
    told = {str(number): usual_s for number, (usual_s, _) in enumerate(made)}
    sped: dict[str, float] = {}
    for number, (usual_s, slowest_s) in enumerate(made):
        rooms.add(str(number), usual_s, slowest_s, now_s)
    for pause_s, hits, saturation in steps:
        now_s += pause_s
        for number in hits:
            rooms.hit(str(number), now_s)
        for room_id, interval_s in rooms.tick(now_s, saturation):
            usual_s, slowest_s = made[int(room_id)]
            assert interval_s != told[room_id]
            assert min(usual_s, 0.5) <= interval_s <= max(usual_s, min(2 * usual_s, slowest_s))
            if interval_s < usual_s:
                assert now_s - sped.get(room_id, -100.0) >= CONFIG.hold
                sped[room_id] = now_s
            told[room_id] = interval_s
        fast = [room_id for room_id, interval_s in told.items() if interval_s < made[int(room_id)][0]]
        assert len(fast) == rooms.tempos[Tempo.FAST]
        assert saturation <= 1 or len(fast) <= 0.25 * len(made)


@given(st.floats(0.6, 10), st.floats(0, 200), st.lists(st.floats(0.1, 30), max_size=40))
def test_a_hit_is_always_followed_by_fast_pictures_for_as_long_as_it_lasts(
    usual_s: float, first_s: float, pauses: list[float]
) -> None:
    rooms, now_s = pace("a", usual_s=usual_s, slowest_s=100.0), first_s
    rooms.tick(now_s)
    rooms.hit("a", now_s)
    interval_s = dict(rooms.tick(now_s)).get("a", usual_s)
    for pause_s in pauses:
        now_s += pause_s
        interval_s = dict(rooms.tick(now_s)).get("a", interval_s)
        assert (interval_s == 0.5) == (now_s - first_s < CONFIG.after_hit.lasts)
