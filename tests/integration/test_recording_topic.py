"""Records on a topic of a real broker: the lines of the file, and an engine that never waits for the broker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from sample_streams.broker import Broker
from streammon.bus import Consumer, Producer, Received
from streammon.deliver.config import KafkaConfig
from streammon.deliver.schemas import FOLDER
from streammon.entities import Observation
from streammon.errors import StreammonError
from streammon.fleet import recording
from streammon.fleet.config import RecordsConfig
from streammon.fleet.recording import Recorder, RecordTopic, build_recorder
from streammon.judge.recording import read_recording
from streammon.metrics import Metrics
from tests.integration.watching import KAFKA_SOCKETS
from tests.unit.colours import RED, frame, looked, metrics, room, value

TOPIC = "streammon.records"
DROPPED = "streammon_records_dropped_total"
WAIT_S = 30.0

pytestmark = KAFKA_SOCKETS


def seen(at_s: float, room_id: str = "r1") -> list[Observation]:
    return looked(frame(RED, at_s, room_id))


def received(broker: Broker, count: int) -> list[Received]:
    """So many messages of the topic, in its order."""
    messages: list[Received] = []
    with closing(Consumer(broker.bootstrap, [TOPIC])) as consumer:
        for message in consumer.messages(WAIT_S):
            messages.append(message)
            if len(messages) == count:
                break
    return messages


def times(messages: Sequence[Received]) -> list[float]:
    return [json.loads(message.value or b"")["at_s"] for message in messages]


@pytest.fixture
def counted() -> Metrics:
    return metrics()


@contextmanager
def recording_to(broker: Broker, counted: Metrics, message_bytes: int = 1_000_000) -> Iterator[Recorder]:
    producer = Producer(broker.bootstrap, timeout_s=5.0, message_bytes=message_bytes)
    recorder = Recorder([RecordTopic(producer, TOPIC)], counted)
    recorder.start()
    try:
        yield recorder
    finally:
        assert recorder.close()


def test_the_topic_has_the_lines_of_the_file_which_can_be_judged_anew(
    broker: Broker, counted: Metrics, tmp_path: Path
) -> None:
    path = tmp_path / "records.jsonl"
    recorder = build_recorder(RecordsConfig(file=path, topic=TOPIC), KafkaConfig(bootstrap=broker.bootstrap), counted)
    assert recorder is not None
    recorder.start()
    for second in range(300):
        recorder.take(room("r1"), seen(second, "r1"))
        recorder.take(room("r2"), seen(second, "r2"))
    assert recorder.close()

    messages = received(broker, 600)
    assert [message.value for message in messages] == path.read_bytes().splitlines()
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(b"".join((message.value or b"") + b"\n" for message in messages))
    frames = list(read_recording(copy))
    assert [frame.room_id.encode() for frame in frames] == [message.key for message in messages]
    schema = json.loads((FOLDER / "record.v1.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(json.loads(messages[0].value or b""))
    assert value(counted, DROPPED) == 0.0


def test_a_broker_that_is_down_costs_records_and_no_time(
    broker: Broker, counted: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_MAX_WAITING", 10)
    monkeypatch.setattr(recording, "_RETRY_S", 0.1)
    with recording_to(broker, counted) as recorder:
        recorder.take(room(), seen(0))
        assert times(received(broker, 1)) == [0]
        broker.stop()
        started_s = time.monotonic()
        for second in range(1, 101):
            recorder.take(room(), seen(second))
        assert time.monotonic() - started_s < 2.0
        until_s = time.monotonic() + WAIT_S
        while value(counted, DROPPED) < 100 and time.monotonic() < until_s:
            time.sleep(0.05)
        broker.restart()
        recorder.take(room(), seen(200))
        assert times(received(broker, 2)) == [0, 200]
    assert value(counted, DROPPED) == 100.0


def test_one_that_is_too_large_is_dropped_and_those_behind_it_arrive(broker: Broker, counted: Metrics) -> None:
    (look,) = seen(2)
    large = replace(look, detections=tuple(replace(found, text="字" * 20_000) for found in look.detections))
    with recording_to(broker, counted, message_bytes=10_000) as recorder:
        for observations in (seen(1), [large], seen(3)):
            recorder.take(room(), observations)
        assert times(received(broker, 2)) == [1, 3]
    assert value(counted, DROPPED) == 1.0


def test_a_topic_wants_a_broker(counted: Metrics) -> None:
    with pytest.raises(StreammonError, match=r"set kafka\.bootstrap"):
        build_recorder(RecordsConfig(topic=TOPIC), KafkaConfig(), counted)
    assert build_recorder(RecordsConfig(), KafkaConfig(), counted) is None
