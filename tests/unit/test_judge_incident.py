"""One incident's counting: `n in t` over fresh hits, a rising verdict, what its numbers and its peak are taken from."""

from __future__ import annotations

import pytest

from streammon.events import Verdict
from streammon.judge.incident import Incident, Key, Look
from tests.unit.judging import ADULT, moment, picture, rule


def incident(confirm: str, *, clear_after_s: float = 5.0) -> Incident:
    key = Key(label=ADULT, subject=None)
    return Incident(key=key, rule=rule(confirm=confirm, clear_after_s=clear_after_s), detector="nsfw")


def hit(at_s: float, score: float = 0.7) -> Look:
    return Look(at_s=at_s, moment=moment(at_s), hits=(picture(score),))


def verdicts(subject: Incident, *hits: tuple[float, float]) -> list[Verdict | None]:
    return [subject.hit(hit(at_s, score)) for at_s, score in hits]


def test_it_starts_with_the_nth_hit_in_time() -> None:
    assert verdicts(incident("3 in 10s"), (0, 0.7), (5, 0.7), (10, 0.7)) == [None, None, Verdict.REVIEW]


def test_hits_that_are_too_far_apart_do_not_add_up() -> None:
    assert verdicts(incident("2 in 10s"), (0, 0.7), (10.1, 0.7), (20.3, 0.7)) == [None] * 3


def test_it_blocks_once_enough_hits_are_that_strong() -> None:
    found = verdicts(incident("2 in 10s"), (0, 0.95), (1, 0.7), (2, 0.95))
    assert found == [None, Verdict.REVIEW, Verdict.BLOCK]


def test_one_hit_may_block_at_once() -> None:
    assert verdicts(incident("1 in 10s"), (0, 0.95)) == [Verdict.BLOCK]


def test_its_verdict_does_not_fall_and_does_not_repeat() -> None:
    subject = incident("1 in 10s")
    assert verdicts(subject, (0, 0.95), (1, 0.7), (30, 0.7), (31, 0.95)) == [Verdict.BLOCK, None, None, None]
    assert subject.verdict is Verdict.BLOCK


def test_a_look_is_as_strong_as_its_strongest_hit() -> None:
    look = Look(at_s=0, moment=moment(0), hits=(picture(0.7), picture(0.95)))
    assert incident("1 in 10s").hit(look) is Verdict.BLOCK


def test_before_it_has_started_it_ends_when_its_last_hit_is_too_old() -> None:
    subject = incident("2 in 10s")
    subject.hit(hit(0))
    assert [subject.miss(at_s) for at_s in (2, 10, 10.1)] == [False, False, True]


def test_once_started_it_ends_with_a_miss_long_enough_after_the_last_hit() -> None:
    subject = incident("1 in 1s", clear_after_s=5)
    subject.hit(hit(0))
    subject.hit(hit(3))
    assert [subject.miss(at_s) for at_s in (5, 7.9, 8)] == [False, False, True]


@pytest.mark.parametrize(("now_s", "blind"), [(61.9, False), (62, True)])
def test_it_is_blind_when_it_was_last_examined_too_long_ago(now_s: float, blind: bool) -> None:
    subject = incident("1 in 10s")
    subject.hit(hit(0))
    subject.miss(2)
    assert subject.blind(now_s, 60) is blind


def test_it_counts_looks_and_hits_from_its_first_moment_on() -> None:
    subject = incident("2 in 10s")
    subject.hit(hit(0))
    subject.miss(5)
    subject.hit(hit(10.5))
    subject.miss(12)
    subject.hit(hit(13))
    subject.miss(14)
    assert subject.first == hit(10.5)
    assert (subject.inferences, subject.hit_count) == (4, 2)


def test_once_started_its_first_moment_stays() -> None:
    subject = incident("2 in 10s")
    verdicts(subject, (0, 0.7), (1, 0.7), (30, 0.7))
    assert subject.first == hit(0)
    assert (subject.inferences, subject.hit_count) == (3, 3)


def test_its_peak_is_not_from_before_its_first_moment() -> None:
    subject = incident("2 in 10s")
    verdicts(subject, (0, 0.99), (11, 0.7), (12, 0.8))
    assert subject.peak == hit(12, 0.8)


def test_the_first_of_equal_peaks_is_kept() -> None:
    subject = incident("2 in 10s")
    verdicts(subject, (0, 0.8), (1, 0.8), (2, 0.8))
    assert subject.peak == hit(0, 0.8)
