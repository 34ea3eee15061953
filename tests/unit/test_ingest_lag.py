"""How far behind the live edge a stream comes that does not say where its edge is, and what of it is a backlog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.ingest.sampling.lag import Backlog, DriftLag

FRAME_S = 1 / 25


def lags(packets: Iterable[tuple[float, float]], window_s: float = 300.0) -> list[float]:
    """Of packets as (pts_s, received_s)."""
    drift = DriftLag(window_s)
    return [drift.lag_s(pts_s, received_s) for pts_s, received_s in packets]


def paced(first_s: float, last_s: float, delay_s: float, pace: float = 1.0) -> Iterator[tuple[float, float]]:
    """Packets from one stream time to another; the first comes `delay_s` after its time."""
    count = round((last_s - first_s) / FRAME_S)
    for pts_s in (first_s + n * FRAME_S for n in range(count)):
        yield pts_s, first_s + delay_s + (pts_s - first_s) / pace


def test_what_comes_steadily_has_no_lag_whatever_its_clock() -> None:
    for delay_s in (1_000.0, 0.0, -1_000.0):
        assert lags(paced(0, 60, delay_s)) == pytest.approx([0.0] * 1500, abs=1e-6)


def test_the_lag_is_how_much_the_delay_has_grown() -> None:
    assert lags([(0.0, 9.0), (1.0, 10.5), (2.0, 14.0), (3.0, 14.0), (4.0, 14.0)]) == [0.0, 0.5, 3.0, 2.0, 1.0]


def test_an_edge_that_is_nearer_counts_from_then_on() -> None:
    assert lags([(0.0, 5.0), (1.0, 4.0), (2.0, 5.5)]) == [0.0, 0.0, 0.5]


def test_the_edge_is_forgotten_after_the_window() -> None:
    found = lags([*paced(0, 10, 0.0), *paced(10, 80, 2.0)], window_s=60.0)
    assert found[1000] == pytest.approx(2.0)
    assert max(found[1500:1740]) == pytest.approx(2.0)
    assert found[-1] == pytest.approx(0.0)


def test_the_drift_of_two_clocks_does_not_add_up() -> None:
    a_day = [(n * (1 - 100e-6), float(n)) for n in range(86_400)]
    found = lags(a_day)
    assert max(found) == pytest.approx(300 * 100e-6, abs=2e-4)


def test_after_a_restart_another_clock_has_no_lag() -> None:
    drift = DriftLag()
    assert [drift.lag_s(5.0, 5.0), drift.lag_s(5.0, 13.0)] == [0.0, 8.0]
    drift.restart()
    assert [drift.lag_s(5.0, 13.0), drift.lag_s(5.5, 14.0)] == [0.0, 0.5]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 50)), min_size=1, max_size=80), st.floats(1, 100))
def test_the_lag_is_that_over_the_smallest_delay_of_the_window(
    packets: list[tuple[float, float]], window_s: float
) -> None:
    drift, now_s, seen = DriftLag(window_s), 0.0, []
    for pts_s, after_s in packets:
        now_s += after_s
        seen.append((now_s, now_s - pts_s))
        found = drift.lag_s(pts_s, now_s)
        least = min(delay_s for at_s, delay_s in seen if at_s >= now_s - window_s)
        # What came within a second of another may be forgotten with it.
        certain = min(delay_s for at_s, delay_s in seen if at_s > now_s - window_s + 1.0 or at_s == now_s)
        assert now_s - pts_s - certain - 1e-6 <= found <= now_s - pts_s - least + 1e-6
        assert found >= 0.0


def test_what_it_keeps_is_bounded() -> None:
    drift = DriftLag(60.0)
    for n in range(200_000):
        drift.lag_s(n * 0.001 * 0.9, n * 0.001)  # falls behind by ever more, a thousand packets a second
    assert len(drift._least) <= 62


def held(packets: Iterable[tuple[float, float]], interval_s: float = 2.0) -> list[float]:
    """The stream times of the packets that are held back."""
    drift, backlog = DriftLag(), Backlog()
    return [
        pts_s
        for pts_s, received_s in packets
        if backlog.holds(drift.lag_s(pts_s, received_s), received_s, interval_s)
    ]  # fmt: skip


def test_what_a_stall_kept_back_is_a_backlog_until_it_is_caught_up_with() -> None:
    packets = [*paced(0, 10, 0.5), *paced(10, 18, 8.5, pace=400.0), *paced(18, 30, 0.5)]
    found = held(packets)
    assert (found[0], found[-1]) == pytest.approx((10.0, 17.5), abs=0.1)
    assert len(found) == pytest.approx(7.5 / FRAME_S, abs=3)


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 5.0, 20.0])
def test_what_is_late_by_less_than_an_interval_is_none(interval_s: float) -> None:
    late_s = max(interval_s, 1.0)
    for stall_s, is_late in ((late_s - 0.1, False), (late_s + 0.2, True)):
        packets = [*paced(0, 10, 0.0), *paced(10, 10 + stall_s, stall_s, pace=400.0)]
        assert bool(held(packets, interval_s)) == is_late


def test_clumps_and_a_burst_at_the_beginning_are_none() -> None:
    clumps = [(pts_s, (pts_s // 0.8 + 1) * 0.8) for pts_s, _ in paced(0, 60, 0.0)]
    assert held(clumps, 0.5) == []
    assert held([*paced(0, 4, 0.0, pace=1_000.0), *paced(4, 20, -4.0)]) == []


def test_a_stream_that_comes_on_at_its_own_pace_is_none_after_a_second() -> None:
    found = held([*paced(0, 10, 0.0), *paced(10, 60, 8.0)])
    assert (found[0], found[-1]) == pytest.approx((10.0, 10.96))
    slow_to_catch_up = held([*paced(0, 10, 0.0), *paced(10, 60, 8.0, pace=1.2)])
    assert max(slow_to_catch_up) < 11.3


def test_a_second_stall_is_part_of_the_first() -> None:
    stalls = [*paced(0, 10, 0.0), *paced(10, 10.1, 5.0), *paced(10.1, 10.2, 8.0), *paced(10.2, 19, 9.0, pace=500.0)]
    found = held([*stalls, *paced(19, 25, 0.2)])
    assert (found[0], found[-1]) == pytest.approx((10.0, 18.7), abs=0.1)


def test_after_a_longer_delay_was_believed_the_next_stall_is_told_from_there() -> None:
    delayed = [*paced(0, 10, 0.0), *paced(10, 30, 4.0)]
    found = held([*delayed, *paced(30, 35, 9.0, pace=500.0), *paced(35, 40, 4.0)])
    again = [pts_s for pts_s in found if pts_s > 11.1]
    assert (again[0], again[-1]) == pytest.approx((30.0, 34.5), abs=0.1)


def test_no_stream_is_held_for_longer_than_ten_seconds() -> None:
    """One that comes at a third of its pace is never caught up with."""
    held_at = set(held(paced(0, 100, 0.0, pace=0.3)))
    packets = [*paced(0, 100, 0.0, pace=0.3)]
    longest_s = free_s = 0.0
    for pts_s, received_s in packets:
        free_s = free_s if pts_s in held_at else received_s
        longest_s = max(longest_s, received_s - free_s)
    assert 5.0 < longest_s < 10.5


def test_after_a_restart_there_is_no_backlog() -> None:
    backlog = Backlog()
    assert backlog.holds(9.0, 100.0, 2.0)
    backlog.restart()
    assert not backlog.holds(0.5, 100.1, 2.0)
    assert backlog.holds(9.0, 109.0, 2.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 20)), max_size=60), st.floats(0.1, 60))
def test_whatever_comes_it_is_held_for_no_longer_than_ten_seconds(
    packets: list[tuple[float, float]], interval_s: float
) -> None:
    backlog, now_s, since_s = Backlog(), 0.0, 0.0
    held_before = False
    for lag_s, after_s in packets:
        now_s += after_s
        is_held = backlog.holds(lag_s, now_s, interval_s)
        if is_held and not held_before:
            since_s = now_s
        assert not is_held or now_s - since_s <= 10.0
        held_before = is_held
