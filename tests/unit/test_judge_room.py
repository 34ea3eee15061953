"""One room's events: starts, updates and ends, what counts as a miss, lost owners, subjects, ids."""

from __future__ import annotations

import pytest

from streammon.entities import Detection, Outcome, Source
from streammon.events import EndReason, Phase, Verdict, ViolationEvent
from tests.unit.judging import (
    ADULT,
    AT,
    CODE,
    MONITOR,
    ROOM,
    code,
    judge,
    look,
    moment,
    now,
    picture,
    rule,
)

Told = tuple[Phase, Verdict, EndReason | None]


def told(events: list[ViolationEvent]) -> list[Told]:
    return [(event.phase, event.verdict, event.end_reason) for event in events]


def opened(at_s: float = 0.0, epoch: int = 1, score: float = 0.7) -> ViolationEvent:
    """The start of an incident under some owner."""
    (event,) = judge({ADULT: rule()}, epoch=epoch).observe(look(at_s, picture(score)), now(at_s))
    return event


def test_a_start_says_everything() -> None:
    subject = judge({ADULT: rule(confirm="2 in 10s")}, epoch=7)
    assert subject.observe(look(1, picture(0.8)), now(1.2)) == []
    (event,) = subject.observe(look(3, picture(0.7), picture(0.65)), now(3.2))
    assert (event.phase, event.verdict, event.previous_verdict) == (Phase.START, Verdict.REVIEW, None)
    assert (event.owner_epoch, event.seq, event.room_id, event.tenant) == (7, 1, ROOM.room_id, ROOM.tenant)
    assert (event.category, event.label, event.label_code) == ("pornography", ADULT, 1001)
    assert (event.confidence, event.peak_confidence, event.source) == (0.7, 0.8, Source.VISUAL)
    assert (event.first, event.last, event.peak) == (moment(1), moment(3), moment(1))
    assert (event.passthrough, event.severity, event.actions) == ({"order": 7}, 4, ("cut",))
    assert [hit.confidence for hit in event.hits] == [0.7, 0.65]
    assert (event.sampling.inferences, event.sampling.hits, event.sampling.rule) == (2, 2, "2 in 10s")
    assert (event.policy.threshold_review, event.policy.threshold_block) == (0.6, 0.9)
    assert (event.processed_at, event.ended_at, event.monitor) == (now(3.2).utc, None, MONITOR)


def test_a_rising_verdict_is_an_update_of_the_same_incident() -> None:
    subject = judge({ADULT: rule()})
    (start,) = subject.observe(look(0, picture(0.7)), now(0))
    assert subject.observe(look(1, picture(0.7)), now(1)) == []
    (update,) = subject.observe(look(2, picture(0.95)), now(2))
    assert (update.phase, update.verdict, update.previous_verdict) == (Phase.UPDATE, Verdict.BLOCK, Verdict.REVIEW)
    assert (update.incident_id, update.seq) == (start.incident_id, 2)


def test_it_clears_with_a_miss_late_enough() -> None:
    subject = judge({ADULT: rule(clear_after_s=5)})
    subject.observe(look(0, picture(0.7)), now(0))
    assert subject.observe(look(4), now(4)) == []
    (end,) = subject.observe(look(5), now(5.5))
    assert told([end]) == [(Phase.END, Verdict.REVIEW, EndReason.CLEARED)]
    assert (end.previous_verdict, end.hits, end.last, end.ended_at) == (Verdict.REVIEW, (), moment(0), now(5.5).utc)


def test_a_score_below_every_threshold_is_a_miss() -> None:
    subject = judge({ADULT: rule(clear_after_s=5)})
    subject.observe(look(0, picture(0.7)), now(0))
    assert len(subject.observe(look(5, picture(0.59)), now(5))) == 1


def test_another_detectors_look_is_no_miss() -> None:
    subject = judge({ADULT: rule(clear_after_s=5)})
    subject.observe(look(0, picture(0.7)), now(0))
    assert subject.observe(look(50, detector="ocr"), now(50)) == []


@pytest.mark.parametrize("detections", [(), (picture(0.99),)])
def test_a_frame_that_was_not_examined_says_nothing(detections: tuple[Detection, ...]) -> None:
    subject = judge({ADULT: rule(clear_after_s=5), "sexy.kissing": rule()})
    subject.observe(look(0, picture(0.7)), now(0))
    assert subject.observe(look(50, *detections, outcome=Outcome.NOT_EXAMINED), now(50)) == []
    assert told(subject.tick(now(59.9))) == []
    assert told(subject.tick(now(60))) == [(Phase.END, Verdict.REVIEW, EndReason.BLIND)]


def test_time_alone_ends_what_nobody_could_look_at() -> None:
    subject = judge({ADULT: rule()}, blind_after_s=20)
    subject.observe(look(0, picture(0.7)), now(0))
    subject.observe(look(4), now(4))
    assert subject.tick(now(23.9)) == []
    assert told(subject.tick(now(24))) == [(Phase.END, Verdict.REVIEW, EndReason.BLIND)]
    assert subject.tick(now(60)) == []


def test_what_never_started_ends_without_an_event() -> None:
    subject = judge({ADULT: rule(confirm="2 in 10s")})
    subject.observe(look(0, picture(0.7)), now(0))
    assert subject.tick(now(100)) == []
    assert subject.close(EndReason.STOPPED, now(100)) == []


def test_closing_ends_everything_once() -> None:
    subject = judge({ADULT: rule(), CODE: rule()})
    subject.observe(look(0, picture(0.7)), now(0))
    subject.observe(look(0, code("a"), detector="qr"), now(0))
    ends = subject.close(EndReason.ROOM_ENDED, now(1))
    assert [(event.label, event.end_reason) for event in ends] == [
        (ADULT, EndReason.ROOM_ENDED),
        (CODE, EndReason.ROOM_ENDED),
    ]
    assert subject.close(EndReason.ROOM_ENDED, now(2)) == []


def test_after_closing_nothing_begins_again() -> None:
    subject = judge({ADULT: rule()})
    subject.close(EndReason.STOPPED, now(0))
    assert subject.observe(look(1, picture(0.99)), now(1)) == []


def test_each_subject_is_an_incident_of_its_own() -> None:
    subject = judge({CODE: rule(clear_after_s=5)})
    events = subject.observe(look(0, code("a"), code("b"), detector="qr"), now(0))
    assert [event.subject for event in events] == ["a", "b"]
    (end,) = subject.observe(look(5, code("b"), detector="qr"), now(5))
    assert (end.subject, end.phase) == ("a", Phase.END)


def test_more_subjects_than_the_cap_share_one_incident() -> None:
    subject = judge({CODE: rule()})
    events = subject.observe(look(0, *(code(str(n)) for n in range(40)), detector="qr"), now(0))
    assert len(events) == 33
    assert [event.subject for event in events[31:]] == ["31", None]
    assert len(events[32].hits) == 8
    assert subject.observe(look(1, code("99"), code("3"), detector="qr"), now(1)) == []


def test_the_cap_is_per_label() -> None:
    subject = judge({CODE: rule(), ADULT: rule()})
    subject.observe(look(0, *(code(str(n)) for n in range(40)), detector="qr"), now(0))
    (event,) = subject.observe(look(1, picture(0.9, subject="someone")), now(1))
    assert event.subject == "someone"


def test_a_room_that_goes_free_of_subjects_tells_them_apart_again() -> None:
    subject = judge({CODE: rule(clear_after_s=5)})
    subject.observe(look(0, *(code(str(n)) for n in range(40)), detector="qr"), now(0))
    assert len(subject.observe(look(5, detector="qr"), now(5))) == 33
    (event,) = subject.observe(look(6, code("39"), detector="qr"), now(6))
    assert event.subject == "39"


def test_ids_follow_from_what_happened() -> None:
    assert opened().incident_id == opened(score=0.95).incident_id
    different = {opened().incident_id, opened(at_s=1).incident_id, opened(epoch=2).incident_id}
    assert len(different) == 3


def test_an_incident_that_comes_again_is_another() -> None:
    subject = judge({ADULT: rule(clear_after_s=5)})
    (first,) = subject.observe(look(0, picture(0.7)), now(0))
    subject.observe(look(5), now(5))
    (second,) = subject.observe(look(6, picture(0.7)), now(6))
    assert first.incident_id != second.incident_id


def test_what_a_lost_owner_left_open_ends_under_its_successor() -> None:
    lost = opened()
    (end,) = judge({ADULT: rule()}, epoch=2).end_lost([lost], now(100))
    assert (end.incident_id, end.owner_epoch, end.phase) == (lost.incident_id, 2, Phase.END)
    assert (end.end_reason, end.ended_at, end.hits) == (EndReason.WORKER_LOST, now(100).utc, ())
    assert (end.first, end.verdict, end.previous_verdict) == (lost.first, Verdict.REVIEW, Verdict.REVIEW)


def test_no_event_id_comes_twice_under_two_owners() -> None:
    first = judge({ADULT: rule(), CODE: rule()})
    events = first.observe(look(0, picture(0.7)), now(0))
    events += first.observe(look(1, code("a"), detector="qr"), now(1))
    events += judge({ADULT: rule()}, epoch=2).end_lost(events, now(100))
    assert len({event.event_id for event in events}) == 4


@pytest.mark.parametrize(("after_s", "continues"), [(0, True), (60, True), (60.1, False)])
def test_what_starts_again_soon_goes_on_from_the_lost_one(after_s: float, continues: bool) -> None:
    lost = opened()
    subject = judge({ADULT: rule()}, epoch=2)
    subject.end_lost([lost], now(100))
    (start,) = subject.observe(look(100 + after_s, picture(0.7)), now(100 + after_s))
    assert start.continues == (lost.incident_id if continues else None)


def test_an_incident_says_what_it_continues_to_its_end() -> None:
    lost = opened()
    subject = judge({ADULT: rule(clear_after_s=5)}, epoch=2)
    subject.end_lost([lost], now(100))
    events = subject.observe(look(101, picture(0.7)), now(101))
    events += subject.observe(look(200, picture(0.95)), now(200))
    events += subject.close(EndReason.STOPPED, now(300))
    assert [event.continues for event in events] == [lost.incident_id] * 3


def test_only_the_first_goes_on_from_the_lost_one() -> None:
    subject = judge({ADULT: rule(clear_after_s=5)}, epoch=2)
    subject.end_lost([opened()], now(100))
    subject.observe(look(101, picture(0.7)), now(101))
    subject.observe(look(106), now(106))
    (again,) = subject.observe(look(107, picture(0.7)), now(107))
    assert again.continues is None


def test_another_subject_continues_nothing() -> None:
    subject = judge({ADULT: rule()}, epoch=2)
    subject.end_lost([opened()], now(100))
    (start,) = subject.observe(look(101, picture(0.7, subject="someone")), now(101))
    assert start.continues is None


def test_moments_are_utc() -> None:
    assert opened().processed_at == AT
