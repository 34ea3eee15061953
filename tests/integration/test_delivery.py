"""Delivery against a real Kafka-protocol broker that is late, dies and comes back."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest

from sample_streams.broker import Broker, bootstrap_or_embedded
from streammon.backoff import Backoff
from streammon.bus import Consumer, Message, Producer, Published, Received
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.envelope import Envelope
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import PumpState
from streammon.deliver.schemas import FOLDER
from streammon.deliver.sinks import Refusal
from streammon.entities import RoomState
from streammon.errors import DeliveryError
from streammon.events import Monitor, StreamEvent
from tests.integration.watching import KAFKA_SOCKETS

FLUSH_S = 30.0
BROKER_SAVES_S = 1.5
"""The embedded broker writes to its disk once a second: what it acknowledged since then, SIGKILL loses."""

# kafka-python leaves the sockets of refused connections to the garbage collector.
pytestmark = KAFKA_SOCKETS


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool.db")
    opened.register_sinks(["kafka"])
    yield opened
    opened.close()


def event(number: int, room_id: str) -> StreamEvent:
    return StreamEvent(
        room_id=room_id,
        tenant="default",
        passthrough={"note": "透传"},
        owner_epoch=1,
        seq=number,
        session=1,
        state=RoomState.STREAMING,
        previous_state=None,
        reason=None,
        at=datetime.now(UTC),
        monitor=Monitor(version="0.1.0", worker="test"),
    )


def envelopes(first: int, last: int, *, rooms: int = 3) -> list[Envelope]:
    """Events numbered so, dealt out to so many rooms."""
    return [Envelope.of(event(number, f"room{number % rooms}")) for number in range(first, last + 1)]


def deliverer(outbox: Outbox, bootstrap: str) -> Deliverer:
    sink = KafkaSink(Producer(bootstrap, timeout_s=5.0))
    return Deliverer(outbox, sink, backoff=Backoff(first_s=0.05, cap_s=0.5))


def received(bootstrap: str, last_id: str) -> list[Received]:
    """All messages of the streams topic until the one of that id has come."""
    consumer = Consumer(bootstrap, ["streammon.streams"])
    messages = []
    try:
        for message in consumer.messages(FLUSH_S):
            messages.append(message)
            if ce_id(message) == last_id:
                break
    finally:
        consumer.close()
    return messages


def ce_id(message: Received) -> str:
    return dict(message.headers)["ce_id"].decode()


def first_appearances(messages: Sequence[Received]) -> dict[bytes, list[int]]:
    """Per key, the numbers of its events in the order in which each was first there."""
    order: dict[bytes, list[int]] = {}
    for message in messages:
        numbers = order.setdefault(message.key, [])
        number = json.loads(message.value or b"")["seq"]
        if number not in numbers:
            numbers.append(number)
    return order


def test_what_arrives_is_a_cloud_event_in_binary_mode(outbox: Outbox) -> None:
    room_id = f"直播间-{uuid4()}"
    sealed = Envelope.of(event(1, room_id))
    with bootstrap_or_embedded() as bootstrap:
        delivering = deliverer(outbox, bootstrap)
        delivering.start()
        outbox.commit([sealed])
        assert delivering.flush(FLUSH_S)
        assert delivering.close()
        message = received(bootstrap, sealed.event_id)[-1]

    headers = {name: value.decode() for name, value in message.headers}
    data = json.loads(message.value or b"")
    schema = json.loads((FOLDER / "stream.v1.json").read_text(encoding="utf-8"))
    assert message.key.decode() == headers["ce_subject"] == data["room_id"] == room_id
    assert headers["ce_specversion"] == "1.0"
    assert (headers["ce_id"], headers["ce_type"]) == (sealed.event_id, "streammon.stream.v1")
    assert headers["ce_source"] == "/streammon/test"
    assert headers["content-type"] == "application/json"
    assert datetime.fromisoformat(headers["ce_time"]).tzinfo is not None
    assert headers["ce_dataschema"] == schema["$id"]
    jsonschema.Draft202012Validator(schema).validate(data)


def test_a_broker_that_comes_late_gets_everything_in_order(outbox: Outbox, broker: Broker) -> None:
    broker.stop()
    delivering = deliverer(outbox, broker.bootstrap)
    delivering.start()
    sealed = envelopes(1, 500)
    outbox.commit(sealed)
    assert not delivering.flush(0.5)
    status = delivering.status
    broker.restart()

    assert delivering.flush(FLUSH_S)
    assert delivering.close()
    assert status.state is PumpState.WAITING
    assert "refused" in (status.reason or "")
    messages = received(broker.bootstrap, sealed[-1].event_id)
    assert [ce_id(message) for message in messages] == [envelope.event_id for envelope in sealed]


def test_a_stopped_and_restarted_broker_misses_nothing(outbox: Outbox, broker: Broker) -> None:
    delivering = deliverer(outbox, broker.bootstrap)
    delivering.start()
    for start in (1, 101, 201):
        outbox.commit(envelopes(start, start + 49))
        assert delivering.flush(FLUSH_S)  # what the embedded broker acknowledges while it stops, it may lose
        broker.stop()
        outbox.commit(envelopes(start + 50, start + 99))
        broker.restart()
    assert delivering.flush(FLUSH_S)
    assert delivering.close()

    messages = received(broker.bootstrap, envelopes(300, 300)[0].event_id)
    assert first_appearances(messages) == {
        f"room{room}".encode(): [number for number in range(1, 301) if number % 3 == room] for room in range(3)
    }


def numbered(number: int) -> Message:
    return Message(topic="t", key=b"k", value=b"%d" % number)


def test_a_broker_that_was_away_is_connected_to_again(broker: Broker) -> None:
    producer = Producer(broker.bootstrap, timeout_s=2.0)
    producer.ensure_topics(["t"])
    producer.ensure_topics(["t"])
    assert producer.publish([numbered(number) for number in range(5)]) == Published(count=5)
    broker.stop()
    with pytest.raises(DeliveryError, match=broker.bootstrap):
        producer.publish([numbered(5)])
    with pytest.raises(DeliveryError, match="refused"):
        producer.publish([numbered(5)])
    broker.restart()

    tombstone = Message(topic="t", key=b"k", value=None)
    assert producer.publish([numbered(5), tombstone]) == Published(count=2)
    producer.close()


def test_a_broker_that_forgot_our_sequence_numbers_is_published_to_again(broker: Broker) -> None:
    producer = Producer(broker.bootstrap, timeout_s=5.0)
    producer.ensure_topics(["t"])
    time.sleep(BROKER_SAVES_S)
    assert [producer.publish([numbered(number)]).count for number in range(5)] == [1] * 5
    broker.kill()
    broker.restart()

    with pytest.raises(DeliveryError, match="OutOfOrderSequenceNumber"):
        producer.publish([numbered(5)])
    assert [producer.publish([numbered(number)]).count for number in range(5, 8)] == [1] * 3
    producer.close()


class Recorder(KafkaSink):
    """The real sink, which notes when the broker acknowledged what."""

    def __init__(self, producer: Producer) -> None:
        super().__init__(producer)
        self.acknowledged_s: dict[str, float] = {}

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        taken = super().send(envelopes)
        assert isinstance(taken, int)
        self.acknowledged_s.update(dict.fromkeys((sent.event_id for sent in envelopes[:taken]), time.monotonic()))
        return taken


def test_a_broker_killed_mid_stream_gets_all_it_did_not_lose_itself(outbox: Outbox, broker: Broker) -> None:
    sink = Recorder(Producer(broker.bootstrap, timeout_s=5.0))
    delivering = Deliverer(outbox, sink, backoff=Backoff(first_s=0.05, cap_s=0.5))
    delivering.start()
    sealed = envelopes(1, 400)
    enough = threading.Event()

    def commit_all() -> None:
        for number, envelope in enumerate(sealed):
            outbox.commit([envelope])
            if number == 250:
                enough.set()
            time.sleep(0.01)

    committer = threading.Thread(target=commit_all)
    committer.start()
    assert enough.wait(FLUSH_S)
    killed_s = time.monotonic()
    broker.kill()
    broker.restart()
    committer.join(FLUSH_S)
    assert delivering.flush(FLUSH_S)
    assert delivering.close()

    got = received(broker.bootstrap, sealed[-1].event_id)
    got_ids = {ce_id(message) for message in got}
    lost_by_broker = {
        event_id
        for event_id, at_s in sink.acknowledged_s.items()
        if killed_s - BROKER_SAVES_S < at_s <= killed_s + 0.1 and event_id not in got_ids
    }
    assert got_ids | lost_by_broker == {envelope.event_id for envelope in sealed}
    assert got_ids.isdisjoint(lost_by_broker)
    for numbers in first_appearances(got).values():
        assert numbers == sorted(numbers)


def test_a_port_that_does_not_speak_kafka_is_given_up_in_time_and_leaves_no_thread() -> None:
    threads = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        producer = Producer(f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=5.0)
        started_s = time.monotonic()
        with pytest.raises(DeliveryError):
            producer.publish([Message(topic="t", key=b"k", value=b"v")])
        with pytest.raises(DeliveryError):
            producer.ensure_topics(["t"])
        assert time.monotonic() - started_s < 10.0
        producer.close()

    assert set(threading.enumerate()) <= threads


def test_a_consumer_stops_when_told(broker: Broker) -> None:
    stop = threading.Event()
    stop.set()
    consumer = Consumer(broker.bootstrap, ["nothing.here"])

    assert list(consumer.messages(FLUSH_S, stop=stop)) == []
    assert list(consumer.messages(0.3)) == []
    consumer.close()
    consumer.close()


def test_a_consumer_without_a_broker_is_an_error() -> None:
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:1"):
        Consumer("127.0.0.1:1", ["t"])


def test_a_reader_that_stops_in_the_middle_gets_the_rest_later(broker: Broker) -> None:
    producer = Producer(broker.bootstrap)
    producer.ensure_topics(["some"])
    producer.publish([Message(topic="some", key=b"k", value=b"%d" % number) for number in range(20)])
    producer.close()
    consumer = Consumer(broker.bootstrap, ["some"])
    try:
        first = next(iter(consumer.messages(10.0)))
        rest = []
        for message in consumer.messages(10.0):
            rest.append(message.value)
            if message.value == b"19":
                break
    finally:
        consumer.close()
    assert [first.value, *rest] == [b"%d" % number for number in range(20)]
