"""The lines that people read: one per event, and nothing in them that steers a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from streammon.deliver.console import ConsoleSink, StdoutSink, describe, printable
from streammon.deliver.envelope import Envelope
from streammon.entities import RoomState
from streammon.events import (
    AuditEvent,
    EndReason,
    EvidenceEvent,
    EvidenceKind,
    EvidenceStatus,
    FeedbackAction,
    StreamEvent,
    ViolationEvent,
)
from streammon.judge.feedback import Feedback
from streammon.judge.room import RoomJudge
from tests.unit.judging import (
    ADULT,
    AT,
    CODE,
    CONTACT,
    MONITOR,
    ROOM,
    code,
    judge,
    keywords,
    line,
    look,
    now,
    picture,
    policy,
    rule,
)

STREAM = StreamEvent(
    room_id="room-1",
    tenant="acme",
    passthrough={},
    owner_epoch=1,
    seq=1,
    session=2,
    state=RoomState.BACKING_OFF,
    previous_state=RoomState.CONNECTING,
    reason="unreachable",
    at=AT,
    monitor=MONITOR,
)


def told(event: ViolationEvent | StreamEvent | AuditEvent) -> str:
    envelope = Envelope.of(event)
    return describe(envelope.dataschema, envelope.value)


def started(at_s: float = 61.5) -> ViolationEvent:
    (event,) = judge({ADULT: rule()}).observe(look(at_s, picture(0.75)), now(2))
    return event


def test_a_start_says_when_what_where_and_how_sure() -> None:
    assert told(started()) == "05:06:09  START   review  pornography.adult         room-1  at 1:01.5  confidence 0.75"


def test_an_end_says_why_and_after_how_much() -> None:
    subject = judge({ADULT: rule()})
    subject.observe(look(1, picture(0.75)), now(1))
    subject.observe(look(2), now(2))
    (end,) = subject.close(EndReason.ROOM_ENDED, now(3))
    assert told(end).endswith("room-1  at 0:01.0  confidence 0.75  room_ended after 1 hits in 2 looks")


def test_a_code_is_named_by_its_payload() -> None:
    (event,) = judge({CODE: rule()}).observe(look(0, code("https://a.cn"), detector="qr"), now(0))
    assert told(event).endswith("  [https://a.cn]")


def test_text_is_shown_as_it_was_read() -> None:
    subject = RoomJudge(ROOM, 1, policy({CONTACT: rule()}, lists=[keywords("加微信")]), MONITOR)
    (event,) = subject.observe(look(0, line("请加微信 abc"), detector="ocr"), now(0))
    assert told(event).endswith("  [contact]  «请加微信 abc»")


@pytest.mark.parametrize(
    ("at_s", "clock"),
    [(0, "0:00.0"), (9.94, "0:09.9"), (59.94, "0:59.9"), (59.96, "1:00.0"), (3599.99, "60:00.0"), (7265.2, "121:05.2")],
)
def test_stream_time_is_minutes_and_seconds(at_s: float, clock: str) -> None:
    assert f"  at {clock}  " in told(started(at_s))


def test_a_room_says_its_state_and_why() -> None:
    assert told(STREAM) == "05:06:07  ROOM    backing_off  room-1  session 2  (unreachable)"
    flows = replace(STREAM, state=RoomState.STREAMING, reason=None)
    assert told(flows).endswith("ROOM    streaming    room-1  session 2")
    cure = replace(STREAM, detail="cannot connect; check the host")
    assert told(cure).endswith("session 2  (unreachable)  cannot connect; check the host")


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[2J", "\r", "\n", "\x00", "\x07", "\x9b31m", "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{LINE SEPARATOR}"],
)  # fmt: skip
def test_what_a_stranger_wrote_does_not_steer_the_terminal(hostile: str) -> None:
    (event,) = judge({CODE: rule()}).observe(look(0, code(f"a{hostile}b"), detector="qr"), now(0))
    for shown in (told(event), told(replace(STREAM, room_id=f"a{hostile}b"))):
        assert shown.isprintable()
        assert "a\N{REPLACEMENT CHARACTER}" in shown


def test_what_can_be_read_is_shown() -> None:
    assert printable("直播间 №7 – café 🎬") == "直播间 №7 – café 🎬"


def test_the_sink_writes_one_line_per_event_and_takes_them_all() -> None:
    lines: list[str] = []
    sink = ConsoleSink(lines.append)
    assert sink.send([Envelope.of(started()), Envelope.of(STREAM)]) == 2
    assert lines == [told(started()), told(STREAM)]
    sink.close()
    sink.close()


def test_stdout_gets_whole_cloud_events_a_line_each() -> None:
    lines: list[str] = []
    sink = StdoutSink(lines.append)
    sealed = [Envelope.of(started()), Envelope.of(STREAM)]

    assert sink.send(sealed) == 2
    sink.close()
    assert [json.loads(line)["id"] for line in lines] == [envelope.event_id for envelope in sealed]
    assert not any("\n" in line for line in lines)


def test_a_picture_says_what_became_of_it() -> None:
    event = EvidenceEvent(
        incident_id="i",
        room_id="room\x1b[2J",
        tenant="default",
        passthrough={},
        kind=EvidenceKind.SNAPSHOT,
        status=EvidenceStatus.LOST,
        url=None,
        sha256="ab",
        reason="spool_full",
        at=datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC),
        monitor=STREAM.monitor,
    )
    sealed = Envelope.of(event)

    told_of = describe(sealed.dataschema, sealed.value)
    assert told_of == "05:06:07  PICTURE lost         room\N{REPLACEMENT CHARACTER}[2J  snapshot  (spool_full)"


def test_feedback_says_who_said_what_of_which_label() -> None:
    subject = judge({ADULT: rule()})
    subject.observe(look(1, picture(0.75)), now(1))
    said = Feedback(action=FeedbackAction.FALSE_ALARM, room_id="room-1", by="ann\x1b", at=AT, label="pornography")
    audit, _end = subject.apply(said, now(2))
    assert told(audit) == (
        "05:06:09  SAID    false_alarm  room-1  applied, by ann\N{REPLACEMENT CHARACTER}  (pornography.adult)"
    )
    again, *_ = subject.apply(said, now(3))
    assert told(again).endswith("no_match, by ann\N{REPLACEMENT CHARACTER}  (pornography)")
