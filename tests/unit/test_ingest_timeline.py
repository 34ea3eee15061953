"""The timeline gives honest seconds from whatever PTS a publisher sends: no run back, no leap, no negative time."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.ingest.timeline import Timeline

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
    assert seconds(*stamps) == pytest.approx([n / 25 for n in range(20)], abs=1 / 25)


def test_a_wrap_amid_reordered_pictures_costs_no_more_than_their_distance() -> None:
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11, 16, 14, 13, 15]
    stamps = [(WRAP - 9 * FRAME + n * FRAME) % WRAP for n in order]
    assert seconds(*stamps) == pytest.approx([n / 25 for n in order], abs=8 / 25)


@pytest.mark.parametrize("restart", [0, 500 * TICKS, -500 * TICKS], ids=["to zero", "ahead", "below zero"])
def test_a_new_clock_goes_on_where_the_old_one_was(restart: int) -> None:
    before = [100 * TICKS + n * TICKS for n in range(4)]
    after = [restart + n * TICKS for n in range(4)]
    assert seconds(*before, *after) == pytest.approx([0.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0])


def test_a_pause_is_time_that_passed() -> None:
    assert seconds(0, TICKS, 26 * TICKS) == pytest.approx([0.0, 1.0, 26.0])


@pytest.mark.parametrize("first", [0, 103 * TICKS, -5 * TICKS], ids=["to zero", "as before", "below zero"])
def test_a_new_run_goes_on_where_the_last_one_was(first: int) -> None:
    timeline = Timeline(Fraction(1, TICKS))
    before = [timeline.seconds(100 * TICKS + n * TICKS) for n in range(4)]
    timeline.begin_run(Fraction(1, 1_000))
    after = [timeline.seconds(first + n * 1_000) for n in range(4)]
    assert [*before, *after] == pytest.approx([0.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0])


def test_a_run_that_begins_before_the_last_one_ended_in_b_frames_goes_on_at_the_latest_picture() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    assert [timeline.seconds(n * FRAME) for n in (0, 4, 2)] == pytest.approx([0.0, 0.16, 0.08])
    timeline.begin_run(Fraction(1, TICKS))
    assert timeline.seconds(50 * FRAME) == pytest.approx(0.16)


def test_a_run_without_packets_changes_nothing() -> None:
    timeline = Timeline(Fraction(1, TICKS))
    timeline.begin_run(Fraction(1, TICKS))
    assert timeline.seconds(9 * TICKS) == 0.0
    for _ in range(3):
        timeline.begin_run(Fraction(1, TICKS))
    assert [timeline.seconds(0), timeline.seconds(TICKS)] == pytest.approx([0.0, 1.0])


@given(st.lists(st.integers(min_value=-WRAP, max_value=WRAP), min_size=1, max_size=60))
def test_no_stamps_whatsoever_make_time_negative_run_back_or_leap(stamps: list[int]) -> None:
    latest_s = 0.0
    for at_s in seconds(*stamps):
        assert at_s >= 0.0
        assert -1.0 - 1e-6 <= at_s - latest_s <= 30.0 + 1e-6
        latest_s = max(latest_s, at_s)


@given(
    st.lists(
        st.one_of(st.integers(min_value=-WRAP, max_value=WRAP), st.sampled_from([Fraction(1, TICKS), Fraction(1, 25)])),
        min_size=1,
        max_size=60,
    )
)
def test_nor_do_runs_that_begin_anywhere(steps: list[int | Fraction]) -> None:
    timeline, latest_s = Timeline(Fraction(1, TICKS)), 0.0
    for step in steps:
        if isinstance(step, Fraction):
            timeline.begin_run(step)
            continue
        at_s = timeline.seconds(step)
        assert at_s >= 0.0
        assert -1.0 - 1e-6 <= at_s - latest_s <= 30.0 + 1e-6
        latest_s = max(latest_s, at_s)
