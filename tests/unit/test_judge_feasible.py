"""What of a policy cannot work at a room's interval is told before it is run."""

from __future__ import annotations

import pytest

from streammon.judge.feasible import warnings
from tests.unit.judging import ADULT, CODE, judge, look, now, picture, policy, rule


def told(confirm: str, interval_s: float, clear_after_s: float = 60.0) -> list[str]:
    return warnings(policy({ADULT: rule(confirm=confirm, clear_after_s=clear_after_s)}), interval_s)


@pytest.mark.parametrize(
    ("confirm", "interval_s"),
    [("3 in 2s", 2.0), ("3 in 2s", 1.5), ("2 in 1s", 2.0), ("12 in 1s", 0.1), ("2 in 58s", 59.0)],
)
def test_a_rule_that_can_never_be_met_is_told(confirm: str, interval_s: float) -> None:
    (warning,) = told(confirm, interval_s)
    assert warning.startswith(f"{ADULT}: `confirm: ")
    assert "can never be met" in warning
    assert starts(confirm, interval_s) == 0


@pytest.mark.parametrize(
    ("confirm", "interval_s"),
    [("3 in 2s", 1.0), ("1 in 1s", 59.0), ("2 in 2s", 2.0), ("11 in 1s", 0.1), ("6 in 10s", 2.0)],
)
def test_a_rule_that_can_be_met_is_not(confirm: str, interval_s: float) -> None:
    assert told(confirm, interval_s) == []
    assert starts(confirm, interval_s) == 1


def starts(confirm: str, interval_s: float) -> int:
    """How many incidents there are when every picture is a hit."""
    subject = judge({ADULT: rule(confirm=confirm)})
    # Fractions of a second do not add up, so times are taken from their number.
    times = [round(number * interval_s, 3) for number in range(20)]
    return sum(len(subject.observe(look(at_s, picture(0.7)), now(at_s))) for at_s in times)


def test_one_miss_that_ends_an_incident_is_told() -> None:
    (warning,) = told("1 in 10s", 10.0, clear_after_s=5.0)
    assert warning == (
        f"{ADULT}: clear_after 5s is shorter than the interval of 10s: one picture without it ends the incident"
    )
    assert told("1 in 10s", 5.0, clear_after_s=5.0) == []


def test_labels_with_one_fault_are_told_in_one_line() -> None:
    (warning,) = warnings(policy({ADULT: rule(confirm="9 in 2s"), CODE: rule(confirm="9 in 2s")}), 2.0)
    assert warning.startswith(f"{ADULT}, {CODE}: ")


def test_a_room_that_is_blind_between_two_pictures_is_told() -> None:
    judging = policy({ADULT: rule(clear_after_s=600)}, blind_after_s=60)
    assert warnings(judging, 59.0) == []
    (warning,) = warnings(judging, 60.0)
    assert "every incident ends as blind" in warning
