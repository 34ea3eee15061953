"""The sink that publishes events to Kafka, as CloudEvents in binary mode. On its deliverer's thread."""

from __future__ import annotations

from collections.abc import Sequence

from streammon.bus import Message, Producer
from streammon.deliver.envelope import Envelope
from streammon.errors import DeliveryError


class KafkaSink:
    """Publishes through a producer, which it owns. Topics that are missing are created when they are first needed."""

    name = "kafka"

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._topics: set[str] = set()

    def send(self, envelopes: Sequence[Envelope]) -> int:
        """Publish and wait for the acknowledgements; see `Sink.send`."""
        topics = {envelope.topic for envelope in envelopes}
        try:
            if not topics <= self._topics:
                self._producer.ensure_topics(topics)
                self._topics |= topics
            return self._producer.publish([_message(envelope) for envelope in envelopes])
        except DeliveryError:
            self._topics.clear()  # the broker may come back without them
            raise

    def close(self) -> None:
        """Let go of the broker. May be called twice."""
        self._producer.close()


def _message(envelope: Envelope) -> Message:
    return Message(
        topic=envelope.topic,
        key=envelope.key.encode(),
        value=envelope.value,
        headers=envelope.kafka_headers(),
    )
