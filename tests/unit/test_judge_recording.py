"""Recordings: what was seen comes back as it was, what is no recording is named by line, a replay judges as live."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from streammon.entities import Box, Observation, Outcome, PersonMatch, Source
from streammon.errors import ConfigError
from streammon.events import EndReason, Phase, ViolationEvent
from streammon.judge.policy import Policy
from streammon.judge.recording import RecordedFrame, encode_frame, read_recording
from streammon.judge.replay import Replay
from tests.unit.judging import (
    ADULT,
    CODE,
    MONITOR,
    ROOM,
    code,
    judge_by,
    line,
    look,
    moment,
    now,
    picture,
    policy,
    rule,
)


def recorded(folder: Path, *lines: bytes) -> Path:
    path = folder / "seen.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def frame(at_s: float, score: float, room_id: str = ROOM.room_id) -> bytes:
    return encode_frame(replace(ROOM, room_id=room_id), [look(at_s, picture(score))])


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        list(read_recording(path))
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


def test_what_was_seen_comes_back_as_it_was(tmp_path: Path) -> None:
    known = PersonMatch(library="l", entry="e", similarity=0.7)
    boxed = replace(picture(0.9, ADULT), box=Box(x=0.1, y=0.2, w=0.3, h=0.4), person=known, source=Source.FACE)
    seen = [
        look(1.5, boxed, labels=["sexy.vulgar", ADULT]),
        look(1.5, code("wxp://加"), detector="qr"),
        look(1.5, line("加微信 «abc»"), detector="ocr"),
        look(1.5, detector="ages", outcome=Outcome.NOT_EXAMINED),
    ]
    (read,) = read_recording(recorded(tmp_path, encode_frame(ROOM, seen)))
    assert read.observations() == seen
    assert (read.room_id, read.tenant, read.interval_s) == (ROOM.room_id, ROOM.tenant, ROOM.interval_s)


def test_a_frame_is_one_line(tmp_path: Path) -> None:
    encoded = encode_frame(ROOM, [look(0, line("one\ntwo\u2028three"))])
    assert b"\n" not in encoded
    assert len(list(read_recording(recorded(tmp_path, encoded, b"", encoded)))) == 2


def test_lines_that_are_no_frames_are_all_named(tmp_path: Path) -> None:
    whole = frame(0, 0.9)
    path = recorded(
        tmp_path,
        whole,
        whole[:40],
        b'{"room_id": 7}',
        whole.replace(b"0.9", b"90"),
        whole.replace(b'+00:00"', b'"').replace(b'Z"', b'"'),
        whole.replace(b'"examined"', b'"guessed"'),
        whole.replace(b"2.0", b"0.0"),
        b"\xff\xfe",
        whole,
    )
    told = problems(path)
    assert [line.split(":")[0] for line in told] == ["2", "3", "4", "5", "6", "7", "8"]
    assert told[0].startswith("2: JSON is malformed")
    assert told[1] == "3: Expected `str`, got `int` - at `$.room_id`"
    assert told[2] == "4: every `score` should be from 0 to 1"
    assert told[3] == "5: `moment.received_at` should say its time zone"
    assert told[4] == "6: Invalid enum value 'guessed' - at `$.looks[0].outcome`"
    assert told[5] == "7: `interval_s` should be above 0"


def test_a_file_that_is_something_else_is_not_told_line_by_line(tmp_path: Path) -> None:
    assert len(problems(recorded(tmp_path, *[b"no"] * 5000))) == 100


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (told,) = problems(tmp_path / "none.jsonl")
    assert told == "1: cannot be read: No such file or directory"


def live(judging: Policy, looks: Iterable[Observation], last_s: float) -> list[ViolationEvent]:
    """What a monitor would have told of the looks, judged the moment they came, with a tick each second."""
    subject = judge_by(judging)
    events: list[ViolationEvent] = []
    ticks = 1
    for seen in looks:
        while ticks < seen.at_s:
            events += subject.tick(now(ticks))
            ticks += 1
        events += subject.observe(seen, now(seen.at_s))
    return events + subject.close(EndReason.STOPPED, now(last_s))


def replayed(judging: Policy, frames: Iterable[RecordedFrame]) -> list[ViolationEvent]:
    return list(Replay(judging, MONITOR).run(frames))


def test_a_replay_tells_what_a_monitor_tells(tmp_path: Path) -> None:
    judging = policy({ADULT: rule(confirm="2 in 10s"), CODE: rule()}, blind_after_s=20)
    scores = [(0, 0.7), (2, 0.7), (4, 0.95), (6, 0.95), (12, 0.1), (14, 0.7), (15, 0.7), (60, 0.95), (62, 0.95)]
    looks = [look(at_s, picture(score)) for at_s, score in scores]
    path = recorded(tmp_path, *(encode_frame(ROOM, [seen]) for seen in looks))
    events = replayed(judging, read_recording(path))
    expected = live(judging, looks, 62)
    assert [event.phase for event in events].count(Phase.START) == 3
    assert {event.end_reason for event in events} > {EndReason.CLEARED, EndReason.BLIND, EndReason.STOPPED}
    assert [replace(event, passthrough={}) for event in expected] == events


def test_rooms_are_judged_apart(tmp_path: Path) -> None:
    path = recorded(tmp_path, frame(0, 0.7, "a"), frame(0, 0.7, "b"), frame(6, 0, "a"), frame(6, 0.7, "b"))
    replay = Replay(policy({ADULT: rule(clear_after_s=5)}), MONITOR)
    events = list(replay.run(read_recording(path)))
    told = [(event.room_id, event.end_reason) for event in events]
    assert told == [("a", None), ("b", None), ("a", EndReason.CLEARED), ("b", EndReason.STOPPED)]
    assert (replay.frames, replay.rooms) == (4, 2)


def test_a_clock_that_begins_anew_is_another_run(tmp_path: Path) -> None:
    path = recorded(tmp_path, frame(1000, 0.7), frame(3, 0.7))
    events = replayed(policy({ADULT: rule()}), read_recording(path))
    assert [(event.owner_epoch, event.phase) for event in events] == [
        (1, Phase.START), (1, Phase.END), (2, Phase.START), (2, Phase.END),
    ]  # fmt: skip


def test_a_long_silence_ends_what_is_open_in_its_time(tmp_path: Path) -> None:
    path = recorded(tmp_path, frame(0, 0.7), frame(1e9, 0.1))
    _, end = replayed(policy({ADULT: rule()}, blind_after_s=20), read_recording(path))
    assert (end.end_reason, end.ended_at) == (EndReason.BLIND, now(20).utc)
    assert end.last == moment(0)
