"""What a rule asks beyond thresholds: cooldowns, escalation, exemptions, the grace time, and a policy that changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streammon.events import EndReason, Phase, Verdict, ViolationEvent
from streammon.judge.policy import Exemption, Policy, TextPolicy
from streammon.judge.room import RoomJudge
from tests.unit.judging import (
    ADULT,
    CODE,
    ROOM,
    code,
    escalation,
    judge,
    judge_by,
    look,
    moment,
    now,
    picture,
    policy,
    rule,
)

KISSING = "sexy.kissing"
Told = tuple[Phase, Verdict, float]


def watch(subject: RoomJudge, *scores: tuple[float, float]) -> list[Told]:
    """Shows it pictures; each is (seconds, score). Returns what it tells, and at what second."""
    told = []
    for at_s, score in scores:
        events = subject.observe(look(at_s, picture(score)), now(at_s))
        told += [(event.phase, event.verdict, at_s) for event in events]
    return told


def ends(events: list[ViolationEvent]) -> list[EndReason | None]:
    return [event.end_reason for event in events]


def test_the_same_does_not_start_again_before_the_cooldown_is_over() -> None:
    subject = judge({ADULT: rule(clear_after_s=5, cooldown_s=30)})
    told = watch(subject, (0, 0.7), (5, 0), (6, 0.7), (20, 0.7), (34.9, 0.7), (35, 0.7))
    assert told == [
        (Phase.START, Verdict.REVIEW, 0), (Phase.END, Verdict.REVIEW, 5), (Phase.START, Verdict.REVIEW, 35),
    ]  # fmt: skip


def test_a_graver_verdict_does_not_wait() -> None:
    subject = judge({ADULT: rule(clear_after_s=5, cooldown_s=30)})
    told = watch(subject, (0, 0.7), (5, 0), (6, 0.7), (7, 0.95), (12, 0), (13, 0.95))
    assert told[2:] == [(Phase.START, Verdict.BLOCK, 7), (Phase.END, Verdict.BLOCK, 12)]


def test_what_waited_begins_with_hits_that_still_confirm_it() -> None:
    subject = judge({ADULT: rule(confirm="2 in 10s", clear_after_s=5, cooldown_s=30)})
    watch(subject, (0, 0.7), (1, 0.7), (6, 0))
    watch(subject, *((float(at_s), 0.7) for at_s in range(7, 36)))
    (start,) = subject.observe(look(36, picture(0.7)), now(36))
    assert start.first.pts_s >= 26
    assert start.sampling.hits <= start.sampling.inferences <= 11


def test_another_subject_does_not_wait() -> None:
    subject = judge({CODE: rule(clear_after_s=5, cooldown_s=30)})
    subject.observe(look(0, code("a"), detector="qr"), now(0))
    subject.observe(look(5, detector="qr"), now(5))
    events = subject.observe(look(6, code("a"), code("b"), detector="qr"), now(6))
    assert [event.subject for event in events] == ["b"]


def test_the_nth_incident_in_time_escalates() -> None:
    subject = judge({ADULT: rule(clear_after_s=5, escalation=escalation(3, 60, actions="cut ban"))})
    starts = []
    for at_s in (0.0, 10.0, 20.0, 30.0, 90.0):
        starts += subject.observe(look(at_s, picture(0.7)), now(at_s))
        assert len(subject.observe(look(at_s + 5), now(at_s + 5))) == 1
    assert [event.escalated for event in starts] == [False, False, True, True, False]
    assert [event.verdict is Verdict.BLOCK for event in starts] == [False, False, True, True, False]
    assert starts[2].actions == ("cut", "ban")
    assert starts[1].actions == ("cut",)


def test_an_escalated_incident_stays_so_to_its_end() -> None:
    subject = judge({ADULT: rule(escalation=escalation(1, to_block=False, actions="warn"))})
    (start,) = subject.observe(look(0, picture(0.7)), now(0))
    (update,) = subject.observe(look(1, picture(0.95)), now(1))
    (end,) = subject.close(EndReason.STOPPED, now(2))
    assert [event.actions for event in (start, update, end)] == [("cut", "warn")] * 3
    assert start.verdict is Verdict.REVIEW, "it only adds an action"
    assert end.escalated


def test_subjects_of_a_label_escalate_together_and_labels_do_not() -> None:
    rules = {CODE: rule(escalation=escalation(2)), ADULT: rule(escalation=escalation(2))}
    subject = judge(rules)
    (adult,) = subject.observe(look(0, picture(0.7)), now(0))
    events = subject.observe(look(0, code("a"), code("b"), detector="qr"), now(0))
    assert [event.escalated for event in (adult, *events)] == [False, False, True]


def exempting(**of: frozenset[str] | None) -> Policy:
    whole = {"rooms": frozenset[str](), "tenants": frozenset[str](), "labels": None, **of}
    return policy({ADULT: rule(), KISSING: rule()}, exemptions=[Exemption(**whole)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("judging", "told"),
    [
        (exempting(rooms=frozenset({ROOM.room_id})), []),
        (exempting(tenants=frozenset({"acme"})), []),
        (exempting(rooms=frozenset({ROOM.room_id}), labels=frozenset({ADULT})), [KISSING]),
        (exempting(rooms=frozenset({"another"})), [ADULT, KISSING]),
    ],
)
def test_an_exempt_room_is_not_reported(judging: Policy, told: list[str]) -> None:
    events = judge_by(judging).observe(look(0, picture(0.95), picture(0.94, KISSING)), now(0))
    assert [event.label for event in events] == told


def graced(grace_s: float = 20.0, blind_after_s: float = 60.0) -> tuple[RoomJudge, ViolationEvent]:
    """A judge with one open incident."""
    subject = judge_by(policy({ADULT: rule()}, grace_s=grace_s, blind_after_s=blind_after_s))
    (start,) = subject.observe(look(0, picture(0.7)), now(0))
    return subject, start


def test_a_stream_that_comes_back_in_time_goes_on_with_its_incident() -> None:
    subject, start = graced()
    assert subject.stream_over(now(1)) == []
    assert subject.tick(now(20.9)) == []
    back = replace(look(20.9, picture(0.95)), moment=moment(0.5, session=2))
    (update,) = subject.observe(back, now(20.9))
    assert (update.incident_id, update.phase, update.last.session) == (start.incident_id, Phase.UPDATE, 2)
    assert subject.tick(now(40)) == []


def test_a_stream_that_does_not_come_back_in_time_is_over() -> None:
    subject, _ = graced()
    subject.stream_over(now(1))
    subject.stream_over(now(15))
    assert ends(subject.tick(now(21))) == [EndReason.ROOM_ENDED]
    assert subject.tick(now(100)) == []


def test_within_the_grace_time_a_room_is_not_blind() -> None:
    subject, _ = graced(grace_s=100, blind_after_s=10)
    subject.stream_over(now(1))
    assert subject.tick(now(50)) == []


def test_without_a_grace_time_it_is_over_at_once() -> None:
    subject, _ = graced(grace_s=0)
    assert ends(subject.stream_over(now(1))) == [EndReason.ROOM_ENDED]


def test_a_room_that_is_closed_waits_for_nothing() -> None:
    subject, _ = graced()
    subject.stream_over(now(1))
    assert ends(subject.close(EndReason.STOPPED, now(2))) == [EndReason.STOPPED]
    assert subject.tick(now(100)) == []


def test_what_a_new_policy_still_reports_goes_on_under_it() -> None:
    subject = judge({ADULT: rule(review=0.6, block=None, clear_after_s=5)})
    (start,) = subject.observe(look(0, picture(0.8)), now(0))
    new = replace(policy({ADULT: rule(review=0.5, block=0.7, clear_after_s=50)}), id="new", version="2")
    assert subject.set_policy(new, now(1)) == []
    (update,) = subject.observe(look(2, picture(0.8)), now(2))
    assert (update.incident_id, update.verdict, update.policy.id) == (start.incident_id, Verdict.BLOCK, "new")
    assert subject.observe(look(51), now(51)) == []
    assert len(subject.observe(look(52), now(52))) == 1


def test_what_a_new_policy_does_not_report_ends_with_that_reason() -> None:
    subject = judge({ADULT: rule(), KISSING: rule()})
    subject.observe(look(0, picture(0.8), picture(0.7, KISSING)), now(0))
    (end,) = subject.set_policy(policy({KISSING: rule()}), now(1))
    assert (end.label, end.end_reason, end.severity) == (ADULT, EndReason.POLICY_CHANGED, 4)
    assert subject.observe(look(2, picture(0.9)), now(2)) == []
    assert [event.label for event in subject.close(EndReason.STOPPED, now(3))] == [KISSING]


def test_what_a_new_policy_exempts_ends_too() -> None:
    subject = judge({ADULT: rule(), KISSING: rule()})
    subject.observe(look(0, picture(0.8)), now(0))
    assert ends(subject.set_policy(exempting(tenants=frozenset({"acme"})), now(1))) == [EndReason.POLICY_CHANGED]


def test_what_comes_back_in_the_same_picture_is_another_incident() -> None:
    subject = judge({ADULT: rule()})
    (first,) = subject.observe(look(0, picture(0.7)), now(0))
    subject.set_policy(policy({}), now(0))
    subject.set_policy(policy({ADULT: rule()}), now(0))
    (second,) = subject.observe(look(0, picture(0.7)), now(0))
    assert first.incident_id != second.incident_id


def test_a_policy_that_hides_what_was_read_hides_it_of_open_incidents_too() -> None:
    subject = judge({CODE: rule(clear_after_s=5)})
    (start,) = subject.observe(look(0, code("secret"), detector="qr"), now(0))
    hiding = policy({CODE: rule(clear_after_s=5)}, text=TextPolicy.NONE)
    assert subject.set_policy(hiding, now(1)) == []
    assert subject.observe(look(2, code("secret"), detector="qr"), now(2)) == [], "it is the same incident"
    (end,) = subject.observe(look(7, detector="qr"), now(7))
    assert end.incident_id == start.incident_id
    assert end.subject is not None
    assert "secret" not in end.subject


def test_a_miss_is_what_a_detector_can_see_or_has_seen() -> None:
    subject = judge({ADULT: rule(clear_after_s=5)})
    subject.observe(look(0, picture(0.7), labels=[ADULT]), now(0))
    assert subject.observe(look(6, detector="ocr"), now(6)) == []
    assert subject.observe(look(8, detector="other", labels=[KISSING]), now(8)) == []
    told = subject.observe(look(10, detector="nudity", labels=[ADULT]), now(10))
    assert told == [], "nsfw looked at the picture before and may still see it"
    assert ends(subject.observe(look(12, detector="nudity", labels=[ADULT]), now(12))) == [EndReason.CLEARED]
