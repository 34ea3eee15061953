"""A room that is examined too sparsely is told once, and once that it is not any more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.fleet.coverage import Coverage


def window(coverage: Coverage, at_s: float, examined: int, lost: int) -> float | None:
    """What is told of the 30 s that end at `at_s`."""
    for _ in range(examined):
        coverage.examined()
    coverage.lost(lost)
    assert coverage.tick(at_s - 0.1) is None, "a window is told of when it is over"
    return coverage.tick(at_s)


@pytest.mark.parametrize(
    ("examined", "lost", "told"), [(8, 2, None), (79, 21, 0.79), (3, 7, 0.3), (0, 5, 0.0), (1, 3, None), (0, 0, None)]
)
def test_too_low_a_share_of_enough_samples_is_told(examined: int, lost: int, told: float | None) -> None:
    coverage = Coverage(0.0)
    assert window(coverage, 30.0, examined, lost) == told
    assert coverage.sparse is (told is not None)


def test_it_is_told_once_and_again_only_when_nearly_all_is_examined() -> None:
    coverage = Coverage(0.0)
    shares = [(5, 5), (5, 5), (9, 1), (19, 1), (19, 1), (1, 9)]
    told = [window(coverage, 30.0 * (index + 1), *share) for index, share in enumerate(shares)]
    assert told == [0.5, None, None, 0.95, None, 0.1]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_what_is_told_alternates(windows: list[tuple[int, int]]) -> None:
    coverage = Coverage(0.0)
    told = [window(coverage, 30.0 * (index + 1), *counts) for index, counts in enumerate(windows)]
    news = [share for share in told if share is not None]
    assert [share < 0.8 for share in news] == [index % 2 == 0 for index in range(len(news))]
