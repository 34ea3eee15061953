"""Events that a real broker can never take go to the topic for dead letters, and those behind them arrive."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from sample_streams.broker import Broker
from streammon.backoff import Backoff
from streammon.bus import Consumer, Message, Producer, Published, Received
from streammon.bus.topics import Topic, create_topics
from streammon.deliver.dead_letters import DeadLetters
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.envelope import Envelope
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.outbox import Outbox
from tests.integration.watching import KAFKA_SOCKETS
from tests.unit.spooling import envelope

FLUSH_S = 30.0
BROKER_TAKES_BYTES = 1_048_588
"""Apache Kafka's default of message.max.bytes, and the embedded broker's."""

pytestmark = KAFKA_SOCKETS


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> str:
    """A topic of this test's own."""
    return f"t.{request.node.name}".replace("[", ".").replace("]", "")


def message(topic: str, number: int, filler_bytes: int = 0) -> Message:
    # What does not compress: brokers count what is sent.
    return Message(topic=topic, key=b"k", value=b"%d:" % number + os.urandom(filler_bytes))


def received(bootstrap: str, topic: str, last: bytes) -> list[Received]:
    """All messages of a topic until the one whose value begins so."""
    messages = []
    with closing(Consumer(bootstrap, [topic])) as consumer:
        for got in consumer.messages(FLUSH_S):
            messages.append(got)
            if (got.value or b"").startswith(last):
                break
    return messages


def numbers(messages: list[Received]) -> list[int]:
    return [int((got.value or b"").partition(b":")[0]) for got in messages]


def test_the_client_refuses_what_is_too_large_for_it(broker: Broker, topic: str) -> None:
    with closing(Producer(broker.bootstrap, message_bytes=50_000)) as producer:
        producer.ensure_topics([topic])
        some = [message(topic, 0), message(topic, 1), message(topic, 2, 60_000), message(topic, 3)]

        assert producer.publish(some) == Published(count=2, refusal="MessageSizeTooLarge")
        assert producer.publish(some[2:]) == Published(count=0, refusal="MessageSizeTooLarge")
        assert producer.publish(some[3:]) == Published(count=1)
    assert numbers(received(broker.bootstrap, topic, b"3:")) == [0, 1, 3]


def test_the_broker_refuses_what_is_too_large_for_it(broker: Broker, topic: str) -> None:
    with closing(Producer(broker.bootstrap, message_bytes=4 * BROKER_TAKES_BYTES)) as producer:
        producer.ensure_topics([topic])
        some = [message(topic, 0), message(topic, 1, BROKER_TAKES_BYTES + 1), message(topic, 2)]

        assert producer.publish(some) == Published(count=1, refusal="MessageSizeTooLarge")
        assert producer.publish(some[2:]) == Published(count=1)
    assert numbers(received(broker.bootstrap, topic, b"2:"))[-1] == 2


def test_of_a_batch_only_the_one_that_a_topic_cannot_hold_is_refused(broker: Broker, topic: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:  # type: ignore[no-untyped-call]
        configs = {"max.message.bytes": "3000"}
        admin.create_topics({topic: {"configs": configs}})  # type: ignore[no-untyped-call]
    with closing(Producer(broker.bootstrap)) as producer:
        some = [message(topic, number, 500) for number in range(8)]
        some[5] = message(topic, 5, 4000)
        left, refused = some, []
        while left:
            published = producer.publish(left)
            left = left[published.count :]
            if published.refusal is not None:
                refused.append(left.pop(0))

    assert refused == [some[5]]
    order = list(dict.fromkeys(numbers(received(broker.bootstrap, topic, b"7:"))))
    assert order == [0, 1, 2, 3, 4, 6, 7]


class Keyless(Message):
    """What a compacted topic refuses, and with it the whole batch that it is in."""

    __slots__ = ()
    size_bytes = 100


def test_of_a_batch_that_is_refused_for_one_the_others_are_not(broker: Broker, topic: str) -> None:
    create_topics(broker.bootstrap, [Topic(name=topic, compacted=True)])
    with closing(Producer(broker.bootstrap)) as producer:
        some = [message(topic, number) for number in range(6)]
        some[3] = Keyless(topic=topic, key=None, value=b"3:")  # type: ignore[arg-type]

        assert producer.publish(some) == Published(count=3, refusal="InvalidRecord")
        assert producer.publish(some[4:]) == Published(count=2)
    assert numbers(received(broker.bootstrap, topic, b"5:")) == [0, 1, 2, 4, 5]


def test_an_illegal_topic_is_refused(broker: Broker) -> None:
    with closing(Producer(broker.bootstrap)) as producer:
        assert producer.publish([message("no topic!", 0)]) == Published(count=0, refusal="InvalidTopic")


def test_a_poison_event_becomes_a_dead_letter_and_the_next_arrives(broker: Broker, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool.db")
    outbox.register_sinks(["kafka"])
    producer = Producer(broker.bootstrap, message_bytes=200_000, timeout_s=5.0)
    deliverer = Deliverer(outbox, KafkaSink(producer), dead_letters=DeadLetters(KafkaSink(producer)))
    poison = replace(envelope(2), value=b'{"x":"%s"}' % os.urandom(150_000).hex().encode())
    lost = replace(envelope(4), topic="no topic!")
    outbox.commit([envelope(1), poison, envelope(3), lost, envelope(5)])
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert deliverer.close()
    outbox.close()
    assert deliverer.refused == 2
    delivered = received(broker.bootstrap, "streammon.violations", b'{"seq":5')
    assert [json.loads(got.value or b"")["seq"] for got in delivered] == [1, 3, 5]
    letters = received(broker.bootstrap, "streammon.dlq", b'{"sink":"kafka","reason":"InvalidTopic"')
    told = [json.loads(letter.value or b"") for letter in letters]
    assert [(letter["event_id"], letter["reason"], letter["topic"]) for letter in told] == [
        ("incident:2", "MessageSizeTooLarge", "streammon.violations"),
        ("incident:4", "InvalidTopic", "no topic!"),
    ]
    assert told[0]["value"] == poison.value[:65536].decode()
    opened = Envelope.received(letters[0].topic, letters[0].key, letters[0].headers, letters[0].value or b"")
    assert (opened.event_id, opened.type, opened.key) == ("incident:2:kafka", "streammon.dead-letter.v1", "room")


def test_without_a_broker_nothing_is_a_dead_letter(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool.db")
    outbox.register_sinks(["kafka"])
    producer = Producer("127.0.0.1:1", timeout_s=2.0)
    deliverer = Deliverer(
        outbox,
        KafkaSink(producer),
        dead_letters=DeadLetters(KafkaSink(producer)),
        backoff=Backoff(first_s=0.01, cap_s=0.01),
    )
    outbox.commit([envelope(1)])
    deliverer.start()

    assert not deliverer.flush(0.3)
    assert "refused" in (deliverer.status.reason or "")
    assert deliverer.close()
    assert deliverer.refused == 0
    outbox.close()
