"""The interval that shares are told with."""

from __future__ import annotations

import pytest

from tests.benchmarks.accuracy.halves import held_out, interval, told


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # By R's `prop.test(hits, n, correct = FALSE)`.
    [(54, 58, 0.8357, 0.9729), (0, 27, 0.0, 0.1246), (10, 10, 0.7225, 1.0), (0, 0, 0.0, 1.0)],
)
def test_intervals_are_wilsons(hits: int, n: int, low: float, high: float) -> None:
    assert interval(hits, n) == pytest.approx((low, high), abs=2e-4)


def test_about_half_of_all_names_are_held_out() -> None:
    assert 400 < sum(held_out(f"shared/{number}.jpg") for number in range(1000)) < 600


def test_a_share_is_told_with_its_interval() -> None:
    assert told(54, 58) == "54 of 58 (93.1%, 95% interval 84% to 97%)"


def test_a_picture_is_on_one_side_in_all_topics() -> None:
    assert held_out("../objects/shared/a.jpg") == held_out("shared/a.jpg") == held_out("a.jpg")
