"""What viewers write becomes incidents: of the same kind as what is read in the picture, but its silence is no miss."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from streammon.entities import ChatLine, Detection, Observation
from streammon.errors import StreammonError
from streammon.events import EndReason, Phase, ViolationEvent
from streammon.judge.keywords import KeywordList
from streammon.judge.keywords.lists import Said
from streammon.judge.policy import Policy, TextPolicy
from streammon.judge.report import hit_of
from streammon.judge.room import RoomJudge
from streammon.judge.state import JudgeState
from streammon.judge.texts import CHAT, SentText, decode_text, decode_texts, raises
from tests.unit.judging import CONTACT, MONITOR, ROOM, keywords, line, look, now, policy, rule

RULES = {CONTACT: rule(clear_after_s=5.0)}
SENT = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)


def written(at_s: float, text: str = "加微信 now", author: str | None = "u1") -> Observation:
    sent = SentText(room_id=ROOM.room_id, text=text, author=author, time=SENT)
    return replace(look(at_s, sent.detection(), detector=CHAT), of_frame=False)


def read(at_s: float, *lines: Detection) -> Observation:
    return look(at_s, *lines, detector="ocr")


@pytest.fixture
def rules() -> Policy:
    return policy(RULES, lists=[keywords("加微信")])


@pytest.fixture
def judge(rules: Policy) -> RoomJudge:
    return RoomJudge(ROOM, 1, rules, MONITOR)


def told(events: list[ViolationEvent]) -> list[tuple[Phase, EndReason | None]]:
    return [(event.phase, event.end_reason) for event in events]


def test_a_line_that_hits_starts_an_incident_that_names_its_author(judge: RoomJudge) -> None:
    (start,) = judge.observe(written(1.0), now(1.0))
    (hit,) = start.hits
    assert (start.label, start.source, start.phase) == (CONTACT, "text", Phase.START)
    assert (hit.detector, hit.text, hit.chat) == (CHAT, "加微信 now", ChatLine(author="u1", sent_at=SENT))
    assert [keyword.word for keyword in hit.keywords] == ["加微信"]
    assert (start.sampling.inferences, start.sampling.hits) == (1, 1)


def test_a_line_that_means_nothing_ends_nothing(judge: RoomJudge) -> None:
    assert judge.observe(written(1.0, "hello"), now(1.0)) == []
    judge.observe(written(2.0), now(2.0))
    assert judge.observe(written(60.0, "hello"), now(60.0)) == []


def test_what_was_only_written_ends_when_nobody_writes_it_any_more(judge: RoomJudge) -> None:
    judge.observe(written(1.0), now(1.0))
    judge.observe(written(4.0), now(4.0))
    assert judge.tick(now(8.9)) == []
    (end,) = judge.tick(now(9.0))
    assert (end.end_reason, end.last.pts_s, end.sampling.hits) == (EndReason.CLEARED, 4.0, 2)
    assert judge.idle


def test_pictures_that_do_not_show_it_do_not_end_what_is_still_written(judge: RoomJudge) -> None:
    judge.observe(written(1.0), now(1.0))
    for at_s in (2.0, 4.0, 5.9):
        assert judge.observe(read(at_s), now(at_s)) == []
    assert told(judge.tick(now(6.0))) == [(Phase.END, EndReason.CLEARED)]


def test_written_and_shown_is_one_incident_that_ends_when_neither_is_there(judge: RoomJudge) -> None:
    assert told(judge.observe(read(1.0, line("加微信")), now(1.0))) == [(Phase.START, None)]
    assert judge.observe(written(4.0), now(4.0)) == []
    assert judge.observe(read(6.5), now(6.5)) == [], "it was written 2.5 s ago"
    assert judge.observe(written(7.0), now(7.0)) == []
    assert judge.observe(read(9.0), now(9.0)) == []
    assert told(judge.observe(read(12.0), now(12.0))) == [(Phase.END, EndReason.CLEARED)]


def test_what_was_shown_ends_blind_though_nobody_writes_it(judge: RoomJudge, rules: Policy) -> None:
    judge.observe(read(1.0, line("加微信")), now(1.0))
    blind_s = 1.0 + rules.blind_after_s
    assert judge.tick(now(blind_s - 0.1)) == []
    assert told(judge.tick(now(blind_s))) == [(Phase.END, EndReason.BLIND)]


def test_one_hit_of_several_that_are_asked_for_is_forgotten_in_time() -> None:
    rules = policy({CONTACT: rule(confirm="2 in 10s")}, lists=[keywords("加微信")])
    judge = RoomJudge(ROOM, 1, rules, MONITOR)
    assert judge.observe(written(1.0), now(1.0)) == []
    assert judge.tick(now(11.0)) == []
    assert judge.idle
    judge.observe(written(20.0), now(20.0))
    assert told(judge.observe(written(22.0), now(22.0))) == [(Phase.START, None)]


def test_chat_alone_makes_the_pictures_neither_busy_nor_doubtful(judge: RoomJudge) -> None:
    judge.observe(written(1.0), now(1.0))
    assert (judge.busy, judge.doubtful, judge.idle) == (False, False, False)
    judge.observe(read(2.0, line("加微信")), now(2.0))
    assert judge.busy


def test_a_line_during_the_grace_time_does_not_say_that_the_stream_is_back() -> None:
    rules = policy(RULES, lists=[keywords("加微信")], grace_s=10.0)
    judge = RoomJudge(ROOM, 1, rules, MONITOR)
    judge.observe(read(1.0, line("加微信")), now(1.0))
    judge.stream_over(now(2.0))
    judge.observe(written(5.0), now(5.0))
    assert told(judge.tick(now(12.0))) == [(Phase.END, EndReason.ROOM_ENDED)]


def test_no_more_of_the_author_is_told_than_of_the_text(rules: Policy) -> None:
    judge = RoomJudge(ROOM, 1, replace(rules, text=TextPolicy.NONE), MONITOR)
    (start,) = judge.observe(written(1.0), now(1.0))
    assert (start.hits[0].text, start.hits[0].chat, start.hits[0].keywords) == (None, None, ())


def test_what_was_written_goes_on_under_another_judge(judge: RoomJudge, rules: Policy) -> None:
    judge.observe(written(1.0), now(1.0))
    state = msgspec.json.decode(msgspec.json.encode(judge.state(now(2.0))), type=JudgeState)
    other, events = RoomJudge.resume(state, ROOM, 1, rules, MONITOR, now(2.0))
    assert events == []
    assert told(other.tick(now(6.0))) == [(Phase.END, EndReason.CLEARED)]


def test_what_comes_to_nothing_is_known_before_the_judge(rules: Policy) -> None:
    sent = SentText(room_id="r", text="jia 加微信")
    assert raises(sent, rules) == (sent.detection(),)
    assert raises(replace(sent, text="hello"), rules) == ()
    assert hit_of(replace(sent.detection(), label=CONTACT)).chat == ChatLine()


def test_messages_are_read() -> None:
    text = decode_text('{"room_id":"r1","text":"你好","author":"u","time":"2025-03-04T05:06:07Z","more":1}'.encode())
    assert text == SentText(room_id="r1", text="你好", author="u", time=SENT)
    body = b'{"texts":[{"text":"a"},{"text":"b","author":"u"}]}'
    assert decode_texts("r1", body) == [
        SentText(room_id="r1", text="a"),
        SentText(room_id="r1", text="b", author="u"),
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "not valid"),
        (b'{"text":"a"}', "room_id"),
        (b'{"room_id":"r","text":""}', "length >= 1"),
        (b'{"room_id":"r","text":"' + b"x" * 2001 + b'"}', "length <= 2000"),
        (b'{"room_id":"r","text":"a","time":"2025-03-04T05:06:07"}', "timezone"),
        (b"[" * 50_000, "not valid"),
    ],
)
def test_a_message_that_is_not_valid_says_why(message: bytes, reason: str) -> None:
    with pytest.raises(StreammonError, match=reason):
        decode_text(message)


def test_a_body_names_the_line_that_is_wrong() -> None:
    with pytest.raises(StreammonError, match=r"\$\.texts\[1\]\.text"):
        decode_texts("r", b'{"texts":[{"text":"a"},{"text":7}]}')
    with pytest.raises(StreammonError, match="length <= 1000"):
        decode_texts("r", b'{"texts":[' + b",".join([b'{"text":"a"}'] * 1001) + b"]}")


def test_a_word_that_its_list_calls_severe_makes_its_incident_so() -> None:
    said = Said(label=None, severity=5)
    lists = [KeywordList(name="contact", label=CONTACT, words=("wechat", "加微信"), said={"加微信": said})]
    judge = RoomJudge(ROOM, 1, policy(RULES, lists=lists), MONITOR)
    (mild,) = judge.observe(written(1.0, "wechat"), now(1.0))
    assert mild.severity == RULES[CONTACT].severity == 4
    judge.observe(written(2.0, "加微信"), now(2.0))
    judge.observe(written(3.0, "wechat"), now(3.0))
    (end,) = judge.tick(now(9.0))
    assert end.severity == 5
