"""What is seen together in one picture, what lies in ignored regions, which pictures must not be kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streammon.entities import Box, Detection
from streammon.events import EndReason, Verdict, ViolationEvent
from streammon.judge.policy import Exemption, Policy, Region
from streammon.judge.room import RoomJudge
from tests.unit.judging import ADULT, ROOM, combination, judge_by, look, now, picture, policy, rule

CHILD, MINOR, TEEN = "pornography.child", "minors.child", "minors.teenager"
BOTH = combination(CHILD, (f"{ADULT} sexy.vulgar", 0.7), (f"{MINOR} {TEEN}", 0.5))


def combining() -> Policy:
    rules = {ADULT: rule(0.7, 0.9), CHILD: rule(0.5, 0.8, clear_after_s=5, store_evidence=False)}
    return policy(rules, combinations=[BOTH])


def adult(score: float) -> Detection:
    return picture(score, ADULT)


def minor(score: float, label: str = MINOR) -> Detection:
    return picture(score, label, detector="ages")


def show(subject: RoomJudge, at_s: float, sexual: float, young: float) -> list[ViolationEvent]:
    """One picture, as two detectors see it; a score of 0 is not seen."""
    seen = (adult(sexual),) if sexual else ()
    aged = (minor(young),) if young else ()
    return subject.observe_frame([look(at_s, *seen), look(at_s, *aged, detector="ages")], now(at_s))


def test_what_two_detectors_see_in_one_picture_is_another_label() -> None:
    adult_event, child = show(judge_by(combining()), 0, 0.95, 0.6)
    assert (adult_event.label, child.label) == (ADULT, CHILD)
    assert (child.confidence, child.verdict) == (0.6, Verdict.REVIEW), "as sure as the less sure part"
    assert [(hit.label, hit.detector) for hit in child.hits] == [(ADULT, "nsfw"), (MINOR, "ages")]


def test_one_detector_may_see_all_of_it() -> None:
    events = judge_by(combining()).observe(look(0, adult(0.9), minor(0.9)), now(0))
    assert [event.label for event in events] == [ADULT, CHILD]


@pytest.mark.parametrize(("sexual", "young"), [(0.69, 0.9), (0.95, 0.49), (0.95, 0), (0, 0.95)])
def test_every_part_must_be_there_and_sure(sexual: float, young: float) -> None:
    events = show(judge_by(combining()), 0, sexual, young)
    assert CHILD not in {event.label for event in events}


def test_parts_of_two_pictures_do_not_combine() -> None:
    subject = judge_by(combining())
    subject.observe(look(0, adult(0.95)), now(0))
    assert subject.observe(look(2, minor(0.95), detector="ages"), now(2)) == []


@pytest.mark.parametrize(("score", "part"), [(0.49, False), (0.5, True)])
def test_a_picture_with_one_part_says_so_until_the_next(score: float, part: bool) -> None:
    subject = judge_by(combining())
    subject.observe(look(0, minor(score), detector="ages"), now(0))
    assert subject.idle, "it alone is nothing"
    assert subject.combining is part
    subject.observe(look(2, detector="ages"), now(2))
    assert not subject.combining


def test_the_strongest_of_each_part_counts() -> None:
    subject = judge_by(combining())
    young = look(0, minor(0.5), minor(0.8, TEEN), detector="ages")
    *_, child = subject.observe_frame([look(0, adult(0.85), picture(0.9, "sexy.vulgar")), young], now(0))
    assert child.verdict is Verdict.BLOCK
    assert [(hit.label, hit.confidence) for hit in child.hits] == [("sexy.vulgar", 0.9), (TEEN, 0.8)]


def test_a_combination_is_one_hit_of_its_picture() -> None:
    subject = judge_by(policy({CHILD: rule(0.5, confirm="2 in 10s")}, combinations=[BOTH]))
    third = look(0, minor(0.9, TEEN), detector="third")
    assert show(subject, 0, 0.9, 0.9) + subject.observe(third, now(0)) == []
    (child,) = show(subject, 2, 0.9, 0.9)
    assert (child.sampling.hits, child.sampling.inferences) == (2, 2)


def test_it_clears_when_the_parts_are_no_more_seen_together() -> None:
    subject = judge_by(combining())
    show(subject, 0, 0.9, 0.9)
    assert show(subject, 4, 0.9, 0) == []
    events = show(subject, 6, 0.9, 0)
    assert [(event.label, event.end_reason) for event in events] == [(CHILD, EndReason.CLEARED)]


def test_a_detector_that_sees_the_label_itself_and_a_combination_are_one_incident() -> None:
    subject = judge_by(combining())
    both = [look(0, adult(0.8), picture(0.95, CHILD)), look(0, minor(0.9), detector="ages")]
    events = subject.observe_frame(both, now(0))
    assert [event.label for event in events] == [CHILD, ADULT]
    assert (events[0].confidence, events[0].verdict) == (0.95, Verdict.BLOCK)


def test_a_picture_of_a_combination_is_not_kept_even_before_it_is_confirmed() -> None:
    never = replace(rule(0.5, confirm="3 in 10s"), store_evidence=False)
    subject = judge_by(policy({ADULT: rule(), CHILD: never}, combinations=[BOTH]))
    (event,) = show(subject, 0, 0.9, 0.9)
    assert event.label == ADULT
    assert subject.withholds


def test_nothing_is_kept_while_such_an_incident_is_open() -> None:
    subject = judge_by(combining())
    withheld = [subject.withholds]
    for at_s, young in ((0, 0.9), (2, 0), (8, 0)):
        show(subject, at_s, 0.9, young)
        withheld.append(subject.withholds)
    assert withheld == [False, True, True, False]


def test_a_picture_of_what_is_not_reported_is_not_kept_either() -> None:
    exempt = Exemption(rooms=frozenset({ROOM.room_id}), tenants=frozenset(), labels=frozenset({CHILD}))
    subject = judge_by(replace(combining(), exemptions=(exempt,)))
    (event,) = show(subject, 0, 0.9, 0.9)
    assert event.label == ADULT
    assert subject.withholds
    show(subject, 2, 0.9, 0)
    assert not subject.withholds


LOGO = Region(box=Box(x=0.8, y=0.0, w=0.2, h=0.2), labels=None)


def reported(box: Box | None, region: Region, label: str = ADULT) -> bool:
    seen = replace(picture(0.95, label), box=box)
    judging = policy({ADULT: rule(), "advertising.qr_code": rule()}, regions=[region])
    return judge_by(judging).observe(look(0, seen), now(0)) != []


@pytest.mark.parametrize(
    ("box", "seen"),
    [
        (Box(x=0.85, y=0.05, w=0.1, h=0.1), False),
        (Box(x=0.781, y=0.0, w=0.1, h=0.1), False),
        (Box(x=0.779, y=0.0, w=0.1, h=0.1), True),
        (Box(x=0.78, y=0.12, w=0.1, h=0.1), True),
        (Box(x=0.0, y=0.0, w=1.0, h=1.0), True),
        (Box(x=0.9, y=0.1, w=0.0, h=0.0), False),
        (Box(x=0.5, y=0.5, w=0.0, h=0.0), True),
        (None, True),
    ],
)
def test_what_lies_in_an_ignored_region_by_four_fifths_is_not_there(box: Box | None, seen: bool) -> None:
    assert reported(box, LOGO) is seen


def test_a_region_may_be_of_some_labels_only() -> None:
    region = replace(LOGO, labels=frozenset({"advertising.qr_code"}))
    box = Box(x=0.85, y=0.05, w=0.1, h=0.1)
    assert not reported(box, region, "advertising.qr_code")
    assert reported(box, region, ADULT)
