"""The sink that publishes events to Kafka, as CloudEvents in binary or structured mode. On its deliverer's thread."""

from __future__ import annotations

from collections.abc import Sequence

from streammon.bus import Message, Producer, Security
from streammon.bus.message import is_topic
from streammon.deliver.config import KafkaConfig
from streammon.deliver.envelope import Envelope
from streammon.deliver.sinks import Refusal
from streammon.errors import DeliveryError

STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


class KafkaSink:
    """Publishes through a producer, which it owns. Topics that are missing are created when they are first needed."""

    name = "kafka"

    def __init__(self, producer: Producer, *, structured: bool = False) -> None:
        self._producer = producer
        self._structured = structured
        self._topics: set[str] = set()

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        """Publish and wait for the acknowledgements; see `Sink.send`."""
        topics = {envelope.topic for envelope in envelopes if is_topic(envelope.topic)}
        try:
            if not topics <= self._topics:
                self._producer.ensure_topics(topics)
                self._topics |= topics
            published = self._producer.publish([self._message(envelope) for envelope in envelopes])
        except DeliveryError:
            self._topics.clear()  # the broker may come back without them
            raise
        if published.count == 0 and published.refusal is not None:
            return Refusal(reason=published.refusal)
        return published.count

    def close(self) -> None:
        """Let go of the broker. May be called twice."""
        self._producer.close()

    def _message(self, envelope: Envelope) -> Message:
        return Message(
            topic=envelope.topic,
            key=envelope.key.encode(),
            value=envelope.structured() if self._structured else envelope.value,
            headers=STRUCTURED if self._structured else envelope.kafka_headers(),
        )


def kafka_producer(config: KafkaConfig, bootstrap: str) -> Producer:
    """A producer as configured. Raises ConfigError where the password is not where it should be, else DeliveryError."""
    return Producer(
        bootstrap,
        client_id=config.client_id,
        security=kafka_security(config),
        compression=config.compression,
        message_bytes=config.message_bytes,
    )


def kafka_security(config: KafkaConfig) -> Security:
    """How brokers are reached. Raises ConfigError where the password is not where it should be."""
    sasl, tls = config.sasl, config.tls
    return Security(
        protocol=config.security_protocol,
        mechanism=None if sasl is None else sasl.mechanism,
        username=None if sasl is None else sasl.username,
        password=None if sasl is None else sasl.password.read("kafka.sasl.password"),
        ca_file=tls.ca_file,
        cert_file=tls.cert_file,
        key_file=tls.key_file,
    )
