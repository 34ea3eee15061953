"""Who is blamed for a crash: the one room that did it, else all that may have; an outside kill is nobody's fault."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streammon.fleet.suspicion import Blame, Suspicion

HOUR_S = 3600.0


def test_a_room_that_crashed_for_certain_is_tried_alone_and_the_others_go_on() -> None:
    blame = Suspicion().crashed(["a", "b", "c"], "b", 0.0)
    assert blame == Blame(cleared=("a", "c"), suspects=("b",), offender=None, within_budget=True)


def test_where_nobody_knows_all_are_suspects() -> None:
    blame = Suspicion().crashed(["a", "b", "c"], None, 0.0)
    assert blame == Blame(cleared=(), suspects=("a", "b", "c"), offender=None, within_budget=True)


def test_a_room_that_was_alone_did_it_though_no_thread_is_named() -> None:
    suspicion = Suspicion()
    assert suspicion.crashed(["a"], None, 0.0).suspects == ("a",)
    again = suspicion.crashed(["a"], None, 5.0)
    assert (again.offender, again.suspects, again.within_budget) == ("a", (), True)


def test_who_crashes_again_is_the_offender_and_its_company_is_cleared() -> None:
    suspicion = Suspicion()
    suspicion.crashed(["a", "b"], "a", 0.0)
    again = suspicion.crashed(["a", "c"], "a", HOUR_S)
    assert again == Blame(cleared=("c",), suspects=(), offender="a", within_budget=True)
    assert suspicion.crashed(["a"], "a", HOUR_S + 1).offender == "a"


def test_an_offence_is_forgotten_after_an_hour() -> None:
    suspicion = Suspicion()
    suspicion.crashed(["a"], "a", 0.0)
    assert suspicion.crashed(["a"], "a", HOUR_S + 1).offender is None
    assert suspicion.crashed(["a"], "a", HOUR_S + 2).offender == "a", "the second is not"


def test_being_under_suspicion_with_others_is_no_offence() -> None:
    suspicion = Suspicion()
    for at_s in range(5):
        assert suspicion.crashed(["a", "b"], None, float(at_s)).offender is None
    assert suspicion.crashed(["a"], None, 6.0).offender is None


def test_a_room_that_is_no_longer_ours_starts_clean() -> None:
    suspicion = Suspicion()
    suspicion.crashed(["a"], "a", 0.0)
    suspicion.forget("a")
    suspicion.forget("never seen")
    assert suspicion.crashed(["a"], "a", 1.0).offender is None


def test_a_crash_in_a_thread_of_a_room_that_has_gone_is_not_certain() -> None:
    blame = Suspicion().crashed(["a", "b"], "gone", 0.0)
    assert blame.suspects == ("a", "b")


def test_crashes_that_nobody_can_explain_are_limited_and_the_limit_is_told() -> None:
    suspicion = Suspicion()
    within = [suspicion.crashed(["a", "b"], None, float(at_s)).within_budget for at_s in range(6)]
    assert within == [True] * 5 + [False]
    assert Suspicion().budget == "5 times in 300 s"


def test_the_budget_comes_back_with_time() -> None:
    suspicion = Suspicion()
    for at_s in range(5):
        suspicion.crashed([], None, float(at_s))
    assert suspicion.crashed([], None, 302.0).within_budget


def test_a_certain_crash_costs_the_budget_nothing() -> None:
    suspicion = Suspicion()
    assert all(suspicion.crashed(["a", "b"], "a", at_s / 10).within_budget for at_s in range(100))
    assert all(suspicion.crashed(["b"], None, at_s / 10).within_budget for at_s in range(100))
    assert suspicion.crashed(["b", "c"], None, 11.0).within_budget


def test_what_was_ended_from_outside_is_nobody_s_fault_but_limited_too() -> None:
    suspicion = Suspicion()
    for at_s in range(5):
        blame = suspicion.stopped_from_outside(["a"], float(at_s))
        assert blame == Blame(cleared=("a",), suspects=(), offender=None, within_budget=True)
    assert not suspicion.stopped_from_outside(["a"], 6.0).within_budget
    assert suspicion.crashed(["a"], None, 7.0).offender is None


crashes = st.tuples(
    st.lists(st.sampled_from("abcd"), unique=True), st.sampled_from(["a", "b", "c", "d", "x", None]), st.floats(0, 900)
)


@given(st.lists(crashes, max_size=30))
def test_every_room_is_cleared_or_suspected_or_the_offender_and_only_once(
    steps: list[tuple[list[str], str | None, float]],
) -> None:
    suspicion, now_s = Suspicion(), 0.0
    for rooms, named, passed_s in steps:
        now_s += passed_s
        blame = suspicion.crashed(rooms, named, now_s)
        told = [*blame.cleared, *blame.suspects, *([] if blame.offender is None else [blame.offender])]
        assert sorted(told) == sorted(rooms)
