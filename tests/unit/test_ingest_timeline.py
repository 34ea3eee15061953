"""The timeline gives honest seconds from whatever PTS a publisher sends: no run back, no leap, no negative time."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streammon.ingest.sampling.timeline import Timeline

TICKS = 90_000
FRAME = 3_600
WRAP = 1 << 33


def seconds(*stamps: int, time_base: Fraction = Fraction(1, TICKS)) -> list[float]:
    timeline = Timeline(time_base)
    return [timeline.seconds(pts) for pts in stamps]


def test_a_session_begins_at_zero_whatever_its_first_stamp_is() -> None:
    assert seconds(7_000_000, 7_000_000 + TICKS, 7_000_000 + 5 * TICKS) == pytest.approx([0.0, 1.0, 5.0])
    assert seconds(-2 * TICKS, 0, TICKS) == pytest.approx([0.0, 2.0, 3.0])


def test_the_time_base_is_the_streams() -> None:
    assert seconds(0, 1001, 30_030, time_base=Fraction(1, 30_000)) == pytest.approx([0.0, 1001 / 30_000, 1.001])


def test_the_order_of_b_frames_is_kept() -> None:
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    assert seconds(*(n * FRAME for n in order)) == pytest.approx([n / 25 for n in order])


def test_pictures_before_the_first_packet_are_at_zero() -> None:
    assert seconds(10 * FRAME, 8 * FRAME, 9 * FRAME, 14 * FRAME) == pytest.approx([0.0, 0.0, 0.0, 4 / 25])


def test_a_33_bit_stamp_may_wrap() -> None:
    stamps = [(WRAP - 5 * FRAME + n * FRAME) % WRAP for n in range(20)]
    assert seconds(*stamps) == pytest.approx([n / 25 for n in range(20)])
    assert seconds(WRAP - FRAME, WRAP, WRAP + FRAME, 2 * FRAME) == pytest.approx([0.0, 0.04, 0.08, 0.12])


def test_a_wrap_amid_reordered_pictures_costs_nothing() -> None:
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11, 16, 14, 13, 15]
    stamps = [(WRAP - 9 * FRAME + n * FRAME) % WRAP for n in order]
    assert seconds(*stamps) == pytest.approx([n / 25 for n in order])


def test_other_stamps_do_not_wrap() -> None:
    before = (1 << 33) // 90
    assert seconds(before, before + 40, 0, 40, time_base=Fraction(1, 1000)) == pytest.approx([0.0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize("restart", [0, 500 * TICKS, -500 * TICKS], ids=["to zero", "ahead", "below zero"])
def test_a_new_clock_goes_on_where_the_old_one_was(restart: int) -> None:
    before = [100 * TICKS + n * TICKS for n in range(4)]
    after = [restart + n * TICKS for n in range(4)]
    assert seconds(*before, *after) == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])


def test_a_pause_is_time_that_passed() -> None:
    assert seconds(0, TICKS, 26 * TICKS) == pytest.approx([0.0, 1.0, 26.0])


@pytest.mark.parametrize("first", [0, 103 * TICKS, -5 * TICKS], ids=["to zero", "as before", "below zero"])
def test_a_new_run_goes_on_where_the_last_one_was(first: int) -> None:
    timeline = Timeline(Fraction(1, TICKS))
    before = [timeline.seconds(100 * TICKS + n * TICKS) for n in range(4)]
    timeline.begin_run(Fraction(1, 1_000))
    after = [timeline.seconds(first + n * 1_000) for n in range(4)]
    assert [*before, *after] == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])


def test_a_run_that_begins_before_the_last_one_ended_in_b_frames_goes_on_after_the_latest_picture() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    assert [timeline.seconds(n * FRAME) for n in (0, 4, 2)] == pytest.approx([0.0, 0.16, 0.08])
    timeline.begin_run(Fraction(1, TICKS))
    assert timeline.seconds(50 * FRAME) == pytest.approx(0.16 + 0.08)


def test_stamps_that_are_far_apart_add_no_pause_to_a_new_clock() -> None:
    assert seconds(0, 5 * TICKS, 10 * TICKS, 0, TICKS) == pytest.approx([0.0, 5.0, 10.0, 10.0, 11.0])


def test_a_run_without_packets_changes_nothing() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    timeline.begin_run(Fraction(1, TICKS))
    assert timeline.seconds(9 * TICKS) == 0.0
    for _ in range(3):
        timeline.begin_run(Fraction(1, TICKS))
    assert [timeline.seconds(0), timeline.seconds(TICKS)] == pytest.approx([0.0, 1.0])


def run_after(first: int, skipped_s: float, time_base: Fraction = Fraction(1, TICKS)) -> float:
    """The `pts_s` of a run's first packet, after pictures from 100 s to 103 s of the publisher's clock, 40 ms each."""
    timeline = Timeline(Fraction(1, TICKS))
    for n in range(76):
        timeline.seconds(100 * TICKS + n * FRAME)
    timeline.begin_run(time_base, skipped_s)
    return timeline.seconds(first)


@pytest.mark.parametrize("first", [0, 5_000 * TICKS, 101 * TICKS, 103 * TICKS, 130 * TICKS])
def test_what_was_skipped_before_another_clock_is_time_that_passed(first: int) -> None:
    assert run_after(first, skipped_s=12.0) == pytest.approx(3.04 + 12.0)


@pytest.mark.parametrize("missed_s", [11.04, 7.0, 17.5])
def test_the_same_clock_tells_better_how_much_was_skipped_and_is_not_added_to_it(missed_s: float) -> None:
    assert run_after(round((103 + missed_s) * TICKS), skipped_s=12.0) == pytest.approx(3.0 + missed_s)
    assert run_after(round((103 + missed_s) * 1000), 12.0, Fraction(1, 1000)) == pytest.approx(3.0 + missed_s)


def test_the_same_clock_over_a_break_without_loss_keeps_the_pictures_distance() -> None:
    assert run_after(103 * TICKS + FRAME, skipped_s=0.0) == pytest.approx(3.04)


def test_a_run_may_begin_after_a_wrap() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    timeline.seconds(WRAP - 4 * TICKS)
    timeline.begin_run(Fraction(1, TICKS), 5.0)
    assert timeline.seconds(2 * TICKS) == pytest.approx(6.0)


def test_what_runs_without_packets_skipped_adds_up_and_nothing_is_skipped_before_the_first_packet() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    timeline.begin_run(Fraction(1, TICKS), 50.0)
    assert timeline.seconds(TICKS) == 0.0
    timeline.begin_run(Fraction(1, TICKS), 50.0)
    timeline.begin_run(Fraction(1, TICKS), 8.0)
    assert timeline.seconds(0) == 58.0


def test_every_new_clock_is_counted() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    stamps = [5 * TICKS, 6 * TICKS, 6 * TICKS - FRAME, WRAP - TICKS, 0, 20 * TICKS, 99 * TICKS, 0]
    assert [(timeline.seconds(pts), timeline.clocks)[1] for pts in stamps] == [1, 1, 1, 2, 2, 2, 3, 4]
    for first, clocks in ((FRAME, 4), (9 * TICKS, 5)):
        timeline.begin_run(Fraction(1, TICKS))
        timeline.seconds(first)
        assert timeline.clocks == clocks


def test_packets_without_a_time_are_as_far_apart_as_they_come() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    assert [timeline.untimed(1_000.0 + n) for n in (0.0, 0.5, 40.0)] == [0.0, 0.5, 40.0]
    assert [timeline.seconds(n * TICKS) for n in (7, 8)] == [40.0, 41.0]
    timeline.begin_run(Fraction(1, TICKS), 2.0)
    assert [timeline.untimed(n) for n in (3.0, 4.5)] == [43.0, 44.5]
    assert timeline.seconds(0) == 44.5 + 1.0


def test_a_packet_without_a_time_amid_others_costs_them_nothing() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    assert timeline.seconds(0) == 0.0
    assert [timeline.untimed(n) for n in (7.0, 7.04)] == pytest.approx([0.0, 0.04])
    assert [timeline.seconds(3 * FRAME), timeline.untimed(7.5)] == pytest.approx([0.12, 0.12])
    assert timeline.seconds(4 * FRAME) == pytest.approx(0.16)
    assert timeline.clocks == 1


@given(st.lists(st.integers(min_value=-WRAP, max_value=WRAP), min_size=1, max_size=60))
def test_no_stamps_whatsoever_make_time_negative_run_back_or_leap(stamps: list[int]) -> None:
    latest_s = 0.0
    for at_s in seconds(*stamps):
        assert at_s >= 0.0
        assert -1.0 - 1e-6 <= at_s - latest_s <= 30.0 + 1e-6
        latest_s = max(latest_s, at_s)


STEPS = st.one_of(
    st.integers(min_value=-WRAP, max_value=WRAP),
    st.tuples(st.sampled_from([Fraction(1, TICKS), Fraction(1, 25)]), st.floats(0, 1_000)),
    st.floats(0, 1_000),
)


@given(st.lists(STEPS, min_size=1, max_size=60))
@example([0, (Fraction(1, TICKS), 2.0), 0.0, (Fraction(1, TICKS), 0.0), 0])
@example([0, (Fraction(1, TICKS), 64.0), 0.0, (Fraction(1, TICKS), 0.0), 97 * TICKS])
def test_nor_do_runs_that_begin_anywhere_and_packets_without_times(
    steps: list[int | float | tuple[Fraction, float]],
) -> None:
    timeline, latest_s, may_leap_s, now_s = Timeline(Fraction(1, TICKS)), 0.0, 30.0, 0.0
    for step in steps:
        if isinstance(step, tuple):
            timeline.begin_run(*step)
            may_leap_s += 2.0 + 1.5 * step[1]
            continue
        if isinstance(step, float):
            now_s += step
            at_s = timeline.untimed(now_s)
            may_leap_s += step
        else:
            at_s = timeline.seconds(step)
        assert at_s >= 0.0
        assert -1.0 - 1e-6 <= at_s - latest_s <= may_leap_s + 1e-6
        if at_s > latest_s:
            latest_s, may_leap_s = at_s, 30.0
