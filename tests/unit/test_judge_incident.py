"""One incident's counting: `n in t` over pictures, a rising verdict, what its numbers and its peak are taken from."""

from __future__ import annotations

import pytest

from streammon.events import Verdict
from streammon.judge.incident import MAX_HITS, Incident, Key, Look
from streammon.judge.policy import Rule
from tests.unit.judging import ADULT, moment, picture, rule


class Case:
    """An incident under one rule, seen by one detector unless another is named; it starts as soon as it may."""

    def __init__(self, confirm: str, *, clear_after_s: float = 5.0) -> None:
        self.rule: Rule = rule(confirm=confirm, clear_after_s=clear_after_s)
        self.incident = Incident(key=Key(label=ADULT, subject=None))

    def hit(self, at_s: float, score: float = 0.7, detector: str = "nsfw") -> Verdict:
        """Returns the verdict that it has then."""
        self.incident.hit(detector, look(at_s, score, detector), self.rule)
        confirmed = self.incident.confirmed(self.rule)
        if not self.incident.open and confirmed is not Verdict.PASS:
            self.incident.start(confirmed)
        return confirmed

    def miss(self, at_s: float, detector: str = "nsfw") -> bool:
        return self.incident.miss(detector, at_s, moment(at_s), self.rule)

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures examined and pictures with a hit, from its first moment on."""
        first = self.incident.first
        assert first is not None
        return self.incident.looks - first.look + 1, self.incident.sightings - first.hit + 1

    @property
    def times(self) -> tuple[float, float, float]:
        """Of its first, its last and its strongest sighting."""
        first, last, peak = self.incident.first, self.incident.last, self.incident.peak
        assert first is not None
        assert last is not None
        assert peak is not None
        return first.at_s, last.at_s, peak.at_s


def look(at_s: float, score: float = 0.7, detector: str = "nsfw") -> Look:
    hits = (picture(score, detector=detector),)
    return Look(at_s=at_s, moment=moment(at_s), score=score, hits=hits)


def test_it_starts_with_the_nth_hit_in_time() -> None:
    case = Case("3 in 10s")
    assert [case.hit(at_s) for at_s in (0, 5, 10)] == [Verdict.PASS, Verdict.PASS, Verdict.REVIEW]


def test_hits_that_are_too_far_apart_do_not_add_up() -> None:
    case = Case("2 in 10s")
    assert [case.hit(at_s) for at_s in (0, 10.1, 20.3)] == [Verdict.PASS] * 3


def test_it_blocks_once_enough_hits_are_that_strong() -> None:
    case = Case("2 in 10s")
    found = [case.hit(0, 0.95), case.hit(1, 0.7), case.hit(2, 0.95)]
    assert found == [Verdict.PASS, Verdict.REVIEW, Verdict.BLOCK]


def test_one_hit_may_block_at_once() -> None:
    assert Case("1 in 10s").hit(0, 0.95) is Verdict.BLOCK


def test_a_picture_counts_once_however_many_detectors_see_it() -> None:
    case = Case("2 in 10s")
    assert case.hit(0, 0.7, "nsfw") is Verdict.PASS
    assert case.hit(0, 0.95, "nudity") is Verdict.PASS
    assert case.hit(2, 0.7) is Verdict.REVIEW
    assert case.counts == (2, 2)
    assert case.times == (0, 2, 0)


def test_the_surest_reading_of_a_picture_counts() -> None:
    case = Case("1 in 10s")
    assert case.hit(0, 0.7, "nsfw") is Verdict.REVIEW
    assert case.hit(0, 0.95, "nudity") is Verdict.BLOCK
    assert [hit.detector for hit in case.incident.hits] == ["nudity", "nsfw"]
    assert case.hit(0, 0.7, "third") is Verdict.BLOCK
    peak = case.incident.peak
    assert peak is not None
    assert peak.score == 0.95


def test_the_strongest_detections_of_a_picture_are_kept() -> None:
    case = Case("1 in 10s")
    for number in range(MAX_HITS + 5):
        case.hit(0, 0.7 + number / 200, f"detector-{number}")
    assert len(case.incident.hits) == MAX_HITS
    assert case.incident.hits[0].detector == f"detector-{MAX_HITS + 4}"


def test_before_it_has_started_it_ends_when_its_last_hit_is_too_old() -> None:
    case = Case("2 in 10s")
    case.hit(0)
    assert [case.miss(at_s) for at_s in (2, 10, 10.1)] == [False, False, True]


def test_once_started_it_ends_with_a_miss_long_enough_after_the_last_hit() -> None:
    case = Case("1 in 1s", clear_after_s=5)
    case.hit(0)
    case.hit(3)
    assert [case.miss(at_s) for at_s in (5, 7.9, 8)] == [False, False, True]


def test_a_miss_waits_for_the_other_detector_that_looks_at_every_picture() -> None:
    case = Case("1 in 10s", clear_after_s=5)
    case.hit(0, detector="a")
    case.miss(0, detector="b")
    assert not case.miss(10, detector="b")
    assert case.hit(10, detector="a") is Verdict.REVIEW
    assert not case.miss(20, detector="b")
    assert case.miss(20, detector="a")


def test_a_detector_that_stopped_looking_is_waited_for_one_picture_only() -> None:
    case = Case("1 in 10s", clear_after_s=5)
    case.hit(0, detector="a")
    case.miss(0, detector="b")
    assert [case.miss(10, detector="b"), case.miss(20, detector="b")] == [False, True]


@pytest.mark.parametrize(("now_s", "blind"), [(61.9, False), (62, True)])
def test_it_is_blind_when_it_was_last_examined_too_long_ago(now_s: float, blind: bool) -> None:
    case = Case("1 in 10s")
    case.hit(0)
    case.miss(2)
    assert case.incident.blind(now_s, 60) is blind


def test_it_counts_looks_and_hits_from_its_first_moment_on() -> None:
    case = Case("2 in 10s")
    case.hit(0)
    case.miss(5)
    case.hit(10.5)
    case.miss(12)
    case.hit(13)
    assert case.counts == (3, 2)
    case.miss(14)
    assert case.counts == (4, 2)
    assert case.times == (10.5, 13, 10.5)


def test_once_started_its_first_moment_stays() -> None:
    case = Case("2 in 10s")
    for at_s in (0, 1, 30):
        case.hit(at_s)
    assert (case.times[0], case.counts) == (0, (3, 3))


def test_its_peak_is_not_from_before_its_first_moment() -> None:
    case = Case("2 in 10s")
    case.hit(0, 0.99)
    case.hit(11, 0.7)
    case.hit(12, 0.8)
    assert case.times == (11, 12, 12)


def test_the_first_of_equal_peaks_is_kept() -> None:
    case = Case("2 in 10s")
    for at_s in (0, 1, 2):
        case.hit(at_s, 0.8)
    assert case.times == (0, 2, 0)


def test_it_remembers_no_more_hits_than_decide() -> None:
    case = Case("5 in 3600s")
    for number in range(5):
        case.hit(number, 0.95)
    for number in range(5, 500):
        case.hit(number, 0.7)
    assert len(case.incident.recent) <= 10
    assert case.incident.confirmed(case.rule) is Verdict.BLOCK, "five strong hits lie within the hour"


def test_a_shifted_copy_shares_nothing() -> None:
    case = Case("1 in 10s")
    case.hit(5)
    copy = case.incident.shifted(100)
    case.hit(6, detector="other")
    assert [sighting.at_s for sighting in copy.recent] == [105]
    assert (copy.examined_s, copy.detectors) == (105, {"nsfw"})
