"""Feedback on its way to the judge: what is heard of a topic, and what comes of it on the engine's thread."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import ByteSize

from streammon.backoff import Backoff
from streammon.bus import Consumer, Received
from streammon.deliver.outbox import Outbox
from streammon.errors import DeliveryError
from streammon.events import FeedbackAction
from streammon.fleet import feedback as module
from streammon.fleet.config import RecordsConfig, Settings, load_settings
from streammon.fleet.feedback import FeedbackCounts, FeedbackReader
from streammon.fleet.recording import Recorder, RecordFile
from streammon.fleet.rooms import RoomBook
from streammon.judge.feedback import Feedback, encode_feedback
from streammon.judge.recording import read_recording
from streammon.metrics import Metrics
from tests.unit.colours import ADULT, AT, GORE, MONITOR, RED, metrics, now, policy, room, until, value
from tests.unit.test_fleet_pipeline import Station, station
from tests.unit.test_fleet_rooms import seen

__all__ = ["station"]

FALSE = Feedback(action=FeedbackAction.FALSE_ALARM, room_id="r1", by="ann", at=AT, label=ADULT)
MUTE = Feedback(action=FeedbackAction.MUTE, room_id="r1", by="ann", at=AT, label=ADULT, seconds=600.0)
REFUSED = "streammon_feedback_refused_total"


class Ears:
    """A reader whose clock stands at AT, and what it handed on. `room_left` False: nobody takes it."""

    def __init__(self) -> None:
        self.heard: list[Feedback] = []
        self.metrics = metrics()
        self.clock_s = AT.timestamp()
        self.asked: list[float] = []
        self.reader = FeedbackReader(
            self._connect, self._give, self.metrics, backoff=Backoff(first_s=0.001, cap_s=0.001),
            clock=lambda: self.clock_s,
        )  # fmt: skip

    def _connect(self, since_s: float) -> Consumer:
        self.asked.append(since_s)
        raise DeliveryError("kafka down:9092: refused")

    def _give(self, feedback: Feedback, _timeout_s: float) -> bool:
        self.heard.append(feedback)
        return True


@pytest.fixture
def ears() -> Ears:
    return Ears()


def message(value: bytes | None, offset: int = 0, after_s: float = 1.0) -> Received:
    """One that came so long after AT."""
    at_ms = round((AT.timestamp() + after_s) * 1000)
    return Received(topic="streammon.feedback", key=b"r1", value=value, partition=0, offset=offset, timestamp_ms=at_ms)


def sent(outbox: Outbox) -> list[tuple[str, dict[str, Any]]]:
    """The name and the fields of every event that was committed, but for those of streams."""
    every = [(s.type.split(".")[1], msgspec.json.decode(s.value)) for _, s in outbox.pending("memory", 1000)]
    return [(name, fields) for name, fields in every if name != "stream"]


def test_what_is_said_is_handed_on_once(ears: Ears) -> None:
    ears.reader.hear(message(encode_feedback(FALSE)))
    ears.reader.hear(message(encode_feedback(FALSE)))
    ears.reader.hear(message(encode_feedback(FALSE), offset=1))
    assert ears.heard == [FALSE, FALSE], "the second was read again; the third is another message"


@pytest.mark.parametrize(
    "value", [None, b"", b"secret", b'{"note":"secret"}', b"\xff", b'{"x":' + b"[" * 200_000],
    ids=["tombstone", "empty", "text", "fields", "bytes", "deep"],
)  # fmt: skip
def test_what_is_no_feedback_is_counted_and_logged_without_its_text(
    ears: Ears, value: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    ears.reader.hear(message(value, offset=41))
    ears.reader.hear(message(encode_feedback(FALSE), offset=42))
    assert ears.heard == [FALSE]
    assert ears.metrics.registry.get_sample_value(REFUSED, {"way": "topic"}) == 1.0
    assert "partition 0, offset 41" in caplog.text
    assert "secret" not in caplog.text


def test_of_what_was_said_before_it_began_only_mutes_that_still_run_are_heard(ears: Ears) -> None:
    over = replace(MUTE, at=AT - timedelta(hours=1))
    for offset, said in enumerate([FALSE, MUTE, over]):
        ears.reader.hear(message(encode_feedback(said), offset=offset, after_s=-1))
    assert ears.heard == [MUTE]


def test_a_new_connection_goes_on_a_minute_before_the_last_message(ears: Ears) -> None:
    ears.clock_s += 500
    ears.reader.hear(message(encode_feedback(FALSE), after_s=100))
    with pytest.raises(DeliveryError):
        ears.reader._reader._read()
    ears.reader.hear(message(encode_feedback(FALSE), offset=1, after_s=9_000_000))
    with pytest.raises(DeliveryError):
        ears.reader._reader._read()
    assert [asked - AT.timestamp() for asked in ears.asked] == [40, 440], "a clock that is ahead must not hide others"


def test_what_it_remembers_is_bounded(ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    for offset in range(10):
        ears.reader.hear(message(encode_feedback(FALSE), offset=offset))
    assert len(ears.reader._heard) == 3


def test_a_broker_that_is_down_is_told_once_and_asked_again(ears: Ears, caplog: pytest.LogCaptureFixture) -> None:
    enough = threading.Event()

    def connect(since_s: float) -> Consumer:
        ears.asked.append(since_s)
        if len(ears.asked) == 5:
            enough.set()
        raise DeliveryError("kafka down:9092: refused")

    reader = FeedbackReader(connect, ears._give, ears.metrics, backoff=Backoff(first_s=0.001, cap_s=0.001))
    with caplog.at_level(logging.WARNING):
        reader.start()
        assert enough.wait(3.0)
        assert reader.close()
    assert reader.close()
    assert caplog.text.count("nobody is heard until it can be read: kafka down:9092: refused") == 1
    assert "streammon.feedback" not in {thread.name for thread in threading.enumerate()}


def test_a_stop_does_not_wait_for_a_judge_that_takes_nothing(ears: Ears) -> None:
    def full(_feedback: Feedback, _timeout_s: float) -> bool:
        reader._reader.stopping.set()
        return False

    reader = FeedbackReader(ears._connect, full, ears.metrics, clock=lambda: ears.clock_s)
    reader.hear(message(encode_feedback(FALSE)))
    assert reader.close()


@pytest.fixture
def counted() -> Metrics:
    return metrics()


@pytest.fixture
def book(tmp_path: Path, counted: Metrics) -> RoomBook:
    opened = RoomBook(MONITOR, counted)
    opened.open(room(), 3, policy(tmp_path), [], now(0))
    return opened


def test_the_precision_online_can_be_told_from_the_metrics(book: RoomBook, counted: Metrics) -> None:
    counts = FeedbackCounts(counted)
    for at_s, action in ((1, FeedbackAction.FALSE_ALARM), (100, FeedbackAction.ACKNOWLEDGE)):
        counts.note(book.observe(seen(RED, at_s), now(at_s)))
        counts.note(book.apply(replace(FALSE, action=action), now(at_s + 1)))
        counts.note(book.observe(seen((0, 0, 0), at_s + 20), now(at_s + 20)))
    of = {"label": ADULT, "model": "means"}
    assert value(counted, "streammon_judged_incidents_total", **of) == 2.0
    assert value(counted, "streammon_false_alarms_total", **of) == 1.0
    assert value(counted, "streammon_feedback_total", action="false_alarm") == 1.0
    assert value(counted, "streammon_feedback_total", action="acknowledge") == 1.0


def test_feedback_on_a_room_that_is_not_ours_comes_to_nothing(book: RoomBook) -> None:
    assert book.apply(replace(FALSE, room_id="somebody's"), now(1)) == []
    assert book.room("somebody's") is None
    assert book.room("r1") == room()


def test_a_false_alarm_ends_the_incident_on_the_engine_s_thread(station: Station) -> None:
    station.put(RED)
    station.start()
    station.until_told(f"{ADULT} start")
    assert station.pipeline.hear(FALSE, 0.0)
    until(station.outbox, lambda: len(sent(station.outbox)) == 3)
    (_, start), (name, audit), (_, end) = sent(station.outbox)
    assert (name, audit["outcome"], audit["by"]) == ("audit", "applied", "ann")
    assert [incident["incident_id"] for incident in audit["incidents"]] == [start["incident_id"]]
    assert (end["incident_id"], end["phase"], end["end_reason"]) == (start["incident_id"], "end", "false_alarm")
    assert value(station.metrics, "streammon_false_alarms_total", label=ADULT, model="means") == 1.0


def test_what_was_taken_in_before_the_stop_is_applied(station: Station) -> None:
    for _ in range(50):
        assert station.pipeline.hear(replace(FALSE, label=GORE), 0.0)
    station.pipeline._stop.set()
    station.pipeline.start()
    assert station.pipeline.close()
    assert [name for name, _ in sent(station.outbox)] == ["audit"] * 50
    assert not station.pipeline.hear(FALSE, 0.0)


def test_more_than_the_engine_can_take_is_refused(station: Station) -> None:
    taken = [station.pipeline.hear(MUTE, 0.0) for _ in range(1001)]
    assert taken == [True] * 1000 + [False]
    while not station.pipeline._feedback.empty():
        station.pipeline._feedback.get_nowait()


def test_every_frame_is_recorded_where_that_is_asked_for(station: Station, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    recorder = Recorder([RecordFile(path, max_bytes=1_000_000, keep=1)], station.metrics)
    station.pipeline._recorder = recorder
    recorder.start()
    station.put(RED, (0, 0, 0), RED)
    station.start()
    assert station.close()
    assert recorder.close()
    recorded = list(read_recording(path))
    assert [[len(look.detections) for look in frame.looks] for frame in recorded] == [[1], [0], [1]]


def test_what_may_be_set_of_feedback_and_records(tmp_path: Path) -> None:
    path = tmp_path / "streammon.yaml"
    path.write_text(
        "http: {token: {file: token}}\nrecords: {file: records.jsonl, max_bytes: 1MB, keep: 7}\n", encoding="utf-8"
    )
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    settings = load_settings(path)
    assert settings.http is not None
    assert settings.http.token is not None
    assert settings.http.token.read("http.token") == "s3cret"
    assert settings.records == RecordsConfig(file=tmp_path / "records.jsonl", max_bytes=ByteSize(10**6), keep=7)
    assert Settings().records.file is None
