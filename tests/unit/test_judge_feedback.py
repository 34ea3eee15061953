"""What people say of incidents: what each word does, that twice is once, what is counted, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from streammon.errors import StreammonError
from streammon.events import AuditEvent, AuditOutcome, EndReason, FeedbackAction, Phase, ViolationEvent
from streammon.judge.feedback import Feedback, decode_feedback, encode_feedback, feedback_schema
from streammon.judge.precision import PrecisionCounts
from streammon.judge.room import RoomJudge
from tests.unit.judging import ADULT, AT, CODE, ROOM, code, judge, look, now, picture, rule, say, violations

KISSING = "sexy.kissing"


def opened() -> tuple[RoomJudge, ViolationEvent]:
    """A judge with one open incident, and its start."""
    subject = judge({ADULT: rule(clear_after_s=5), CODE: rule(clear_after_s=5), KISSING: rule()})
    (start,) = subject.observe(look(0, picture(0.7)), now(0))
    return subject, start


def told(subject: RoomJudge, feedback: Feedback, at_s: float) -> tuple[AuditEvent, list[ViolationEvent]]:
    audit, *rest = subject.apply(feedback, now(at_s))
    assert isinstance(audit, AuditEvent)
    return audit, violations(rest)


def seen(subject: RoomJudge, at_s: float, score: float = 0.7) -> list[Phase]:
    return [event.phase for event in subject.observe(look(at_s, picture(score)), now(at_s))]


def test_an_acknowledgement_is_an_update_that_says_who() -> None:
    subject, start = opened()
    audit, (update,) = told(subject, say("acknowledge", incident_id=start.incident_id), 1)
    assert (update.phase, update.acknowledged_by, update.seq) == (Phase.UPDATE, "ann", 2)
    assert update.previous_verdict is update.verdict is start.verdict
    assert (audit.outcome, audit.by, audit.action) == (AuditOutcome.APPLIED, "ann", FeedbackAction.ACKNOWLEDGE)
    (end,) = subject.close(EndReason.STOPPED, now(2))
    assert end.acknowledged_by == "ann"


def test_who_says_it_twice_says_it_once() -> None:
    subject, start = opened()
    told(subject, say("acknowledge", incident_id=start.incident_id), 1)
    audit, events = told(subject, say("acknowledge", incident_id=start.incident_id), 2)
    assert events == []
    assert audit.outcome is AuditOutcome.APPLIED
    _, (update,) = told(subject, say("acknowledge", by="bob", incident_id=start.incident_id), 3)
    assert update.acknowledged_by == "bob"


def test_a_mute_ends_what_is_open_and_lets_nothing_start_until_it_is_over() -> None:
    subject, _ = opened()
    audit, (end,) = told(subject, say("mute", label=ADULT, seconds=600, at_s=1), 1)
    assert (end.end_reason, audit.outcome, len(audit.incidents)) == (EndReason.MUTED, AuditOutcome.APPLIED, 1)
    assert [seen(subject, at_s) for at_s in (2.0, 300.0, 600.9)] == [[], [], []]
    assert seen(subject, 601.0) == [Phase.START]


def test_hits_of_a_muted_label_are_not_saved_up() -> None:
    subject = judge({ADULT: rule(confirm="2 in 10s")})
    told(subject, say("mute", label=ADULT, seconds=10), 0)
    assert [seen(subject, at_s) for at_s in (8.0, 9.0, 10.0, 11.0)] == [[], [], [], [Phase.START]]


def test_a_mute_counts_from_when_it_was_said() -> None:
    subject, _ = opened()
    audit, events = told(subject, say("mute", label=ADULT, seconds=600), 600)
    assert (audit.outcome, events) == (AuditOutcome.EXPIRED, [])
    told(subject, say("mute", label=ADULT, seconds=600), 599)
    assert seen(subject, 599.5) == []
    assert seen(subject, 600.5) == [Phase.START]


def test_a_mute_from_a_clock_that_is_ahead_lasts_no_longer() -> None:
    subject, _ = opened()
    told(subject, say("mute", label=ADULT, seconds=10, at_s=1000), 0)
    assert seen(subject, 11.0) == [Phase.START]


def test_a_category_and_a_subject_can_be_muted() -> None:
    subject, _ = opened()
    audit, _ = told(subject, say("mute", label="advertising", subject="a", seconds=60), 0)
    assert audit.label == "advertising"
    events = subject.observe(look(1, code("a"), code("b"), detector="qr"), now(1))
    assert [event.subject for event in events] == ["b"]


def test_a_mute_of_an_incident_is_of_its_subject() -> None:
    subject, _ = opened()
    (start,) = subject.observe(look(1, code("a"), detector="qr"), now(1))
    _, (end,) = told(subject, say("mute", incident_id=start.incident_id, seconds=60), 2)
    assert end.incident_id == start.incident_id
    events = subject.observe(look(3, code("a"), code("b"), detector="qr"), now(3))
    assert [event.subject for event in events] == ["b"]


def test_a_false_alarm_ends_it_and_is_silent_until_it_is_out_of_the_picture() -> None:
    subject, start = opened()
    _, (end,) = told(subject, say("false_alarm", incident_id=start.incident_id), 1)
    assert (end.incident_id, end.end_reason) == (start.incident_id, EndReason.FALSE_ALARM)
    assert [seen(subject, at_s, 0.95) for at_s in (2.0, 4.0, 100.0)] == [[], [], []]
    assert seen(subject, 105.0, 0.0) == []
    assert seen(subject, 106.0) == [Phase.START]


def test_a_false_alarm_s_silence_ends_when_nobody_looks() -> None:
    subject, start = opened()
    told(subject, say("false_alarm", incident_id=start.incident_id), 1)
    assert subject.tick(now(61)) == []
    assert seen(subject, 62.0) == [Phase.START]


def test_feedback_that_matches_nothing_is_audited() -> None:
    subject, _ = opened()
    audit, events = told(subject, say("false_alarm", incident_id="none", note="?"), 1)
    assert (audit.outcome, audit.incidents, audit.note, events) == (AuditOutcome.NO_MATCH, (), "?", [])
    assert audit.event_id == told(subject, say("false_alarm", incident_id="none", note="?"), 2)[0].event_id
    assert audit.event_id != told(subject, say("false_alarm", incident_id="none", note="!"), 2)[0].event_id


def test_feedback_about_another_room_is_a_fault_of_the_caller() -> None:
    subject, _ = opened()
    feedback = Feedback(
        action=FeedbackAction.MUTE, room_id="another", by="ann", at=now(0).utc, label=ADULT, seconds=1.0
    )
    with pytest.raises(ValueError, match="another room"):
        subject.apply(feedback, now(0))


def test_precision_is_of_the_incidents_that_people_gave_feedback_on() -> None:
    subject, first = opened()
    counts = PrecisionCounts()
    counts.note(first)
    events = subject.observe(look(1, picture(0.9, KISSING), picture(0.9, KISSING, subject="b")), now(1))
    for event in events:
        counts.note(event)
    for feedback in (
        say("acknowledge", incident_id=first.incident_id),
        say("acknowledge", label="sexy"),
        say("false_alarm", incident_id=events[0].incident_id),
        say("false_alarm", incident_id=events[0].incident_id),
        say("mute", label=ADULT, seconds=5),
    ):
        for told_event in subject.apply(feedback, now(2)):
            counts.note(told_event)
    adult, kissing = counts.tallies[ADULT, "model-1"], counts.tallies[KISSING, "model-1"]
    assert (adult.starts, adult.reviewed, adult.false_alarms, adult.precision) == (1, 1, 0, 1.0)
    assert (kissing.starts, kissing.reviewed, kissing.false_alarms, kissing.precision) == (2, 2, 1, 0.5)


def test_an_incident_that_is_over_can_still_be_a_false_alarm() -> None:
    subject, start = opened()
    subject.observe(look(6), now(6))
    audit, events = told(subject, say("false_alarm", incident_id=start.incident_id), 7)
    assert events == []
    assert [(one.incident_id, one.first_feedback) for one in audit.incidents] == [(start.incident_id, True)]
    counts = PrecisionCounts()
    assert counts.tallies == {}
    counts.note(audit)
    assert counts.tallies[ADULT, "model-1"].precision == 0.0
    again, _ = told(subject, say("false_alarm", incident_id=start.incident_id), 8)
    assert (again.outcome, again.incidents) == (AuditOutcome.NO_MATCH, ())


def test_before_any_feedback_there_is_no_precision() -> None:
    _, start = opened()
    counts = PrecisionCounts()
    counts.note(start)
    assert counts.tallies[ADULT, "model-1"].precision is None


WHOLE: dict[str, Any] = {
    "action": "mute", "room_id": "r", "by": "ann", "at": "2025-01-01T00:00:00Z", "label": "sexy", "seconds": 600
}  # fmt: skip


def decoded(**changes: object) -> Feedback:
    fields = {key: value for key, value in {**WHOLE, **changes}.items() if value is not ...}
    return decode_feedback(msgspec.json.encode(fields))


def test_feedback_comes_back_as_it_was() -> None:
    feedback = say("mute", label="sexy", subject="b", seconds=1.5, note="again")
    assert decode_feedback(encode_feedback(feedback)) == feedback


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"action": "kick"}, "Invalid enum value 'kick' - at `$.action`"),
        ({"by": ""}, "Expected `str` of length >= 1 - at `$.by`"),
        ({"by": ...}, "missing required field `by`"),
        ({"at": "2025-01-01T00:00:00"}, "timezone"),
        ({"label": "smoke"}, "`label` 'smoke' is no label, group or category"),
        ({"label": ...}, "should name either `incident_id` or `label`"),
        ({"incident_id": "x"}, "should name either `incident_id` or `label`"),
        ({"label": ..., "incident_id": "x", "subject": "y"}, "`subject` goes with `label`"),
        ({"seconds": 0}, "Expected `float` > 0"),
        ({"seconds": 1e9}, "Expected `float` <= "),
        ({"seconds": ...}, "`seconds` should be there for `mute`"),
        ({"action": "acknowledge"}, "`seconds` should be there for `mute`, and for nothing else"),
        ({"note": "x" * 2001}, "Expected `str` of length <= 2000 - at `$.note`"),
    ],
)
def test_feedback_that_is_not_valid_is_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(StreammonError, match="feedback is not valid") as caught:
        decoded(**changes)
    assert reason in str(caught.value)


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b"\xff", b"null"])
def test_what_is_no_feedback_is_named(message: bytes) -> None:
    with pytest.raises(StreammonError, match="feedback is not valid"):
        decode_feedback(message)


def test_the_schema_takes_what_is_valid_and_refuses_what_it_can() -> None:
    validator = Draft202012Validator(feedback_schema())
    assert validator.is_valid(WHOLE)
    assert not validator.is_valid({**WHOLE, "action": "kick"})
    assert not validator.is_valid({**WHOLE, "seconds": 0})


def test_times_keep_their_zone() -> None:
    assert decoded(at="2025-01-01T08:00:00+08:00").at == datetime(2025, 1, 1, tzinfo=UTC)
    assert say("mute", label=ADULT, seconds=1).at == AT + timedelta(0)
    assert say("mute", label=ADULT, seconds=1).room_id == ROOM.room_id
