"""What consumers read of us on a real broker: by the shipped schemas, the official CloudEvents SDK, our own reader."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import jsonschema
import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat

from sample_streams.broker import bootstrap_or_embedded
from streammon.bus import Consumer, Producer, Received
from streammon.deliver.envelope import Envelope
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.schemas import EVENTS, FOLDER
from tests.integration.watching import KAFKA_SOCKETS
from tests.unit.test_deliver_envelope import STREAM, VIOLATION

WAIT_S = 30.0

pytestmark = KAFKA_SOCKETS


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with bootstrap_or_embedded() as address:
        yield address


SENT = [Envelope.of(VIOLATION), Envelope.of(STREAM)]


@pytest.fixture(params=[False, True], ids=["binary", "structured"])
def arrived(bootstrap: str, request: pytest.FixtureRequest) -> list[Received]:
    """The events as they come from the broker, in the order of `SENT`."""
    since_s = time.time()
    with closing(KafkaSink(Producer(bootstrap), structured=request.param)) as sink:
        assert sink.send(SENT) == len(SENT)
    return [first_since(bootstrap, envelope.topic, since_s) for envelope in SENT]


def first_since(bootstrap: str, topic: str, since_s: float) -> Received:
    with closing(Consumer(bootstrap, [topic], since_s=since_s)) as consumer:
        return next(consumer.messages(WAIT_S))


def test_our_own_reader_opens_what_was_sealed(arrived: list[Received]) -> None:
    opened = [Envelope.received(got.topic, got.key, got.headers, got.value or b"") for got in arrived]

    assert [published(envelope) for envelope in opened] == [published(envelope) for envelope in SENT]


def published(envelope: Envelope) -> tuple[str, bytes, bytes]:
    """All of it but its importance, which is not."""
    return envelope.topic, envelope.key.encode(), envelope.structured()


def test_the_official_sdk_reads_the_same_event_which_is_valid(arrived: list[Received]) -> None:
    schemas = {schema_id: FOLDER / name for name, (_, schema_id) in EVENTS.items()}
    for got, sent in zip(arrived, SENT, strict=True):
        assert got.value is not None
        message = kafka.KafkaMessage(headers=dict(got.headers), key=got.key, value=got.value)
        event = kafka.from_kafka(message, JSONFormat())

        assert (event.get_id(), event.get_type(), event.get_source()) == (sent.event_id, sent.type, sent.source)
        assert (event.get_subject(), event.get_dataschema()) == (sent.subject, sent.dataschema)
        assert event.get_datacontenttype() == "application/json"
        assert event.get_time() == datetime.fromisoformat(sent.time)
        assert event.get_data() == json.loads(sent.value)
        schema = json.loads(schemas[str(event.get_dataschema())].read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(schema).validate(event.get_data())
