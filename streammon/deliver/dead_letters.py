"""Where events go that a sink can never take, with the reason. On the thread of that sink's deliverer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from streammon.deliver.envelope import Envelope, rfc3339
from streammon.deliver.sinks import Refusal, Sink
from streammon.errors import DeliveryError
from streammon.events import Count, Utc

DEAD_LETTER_SCHEMA = "urn:streammon:schema:dead-letter.v1"
DEAD_LETTER_TOPIC = "streammon.dlq"
KEPT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that a sink can never take, and why. The events behind it were delivered."""

    sink: Annotated[str, Meta(description="`kafka`, `webhook` and so on.")]
    reason: str
    at: Utc
    event_id: str
    event_type: str
    topic: Annotated[str, Meta(description="Where it was to go.")]
    room_id: str
    size_bytes: Annotated[Count, Meta(description="Of the event's JSON.")]
    value: Annotated[str, Meta(description="The event's JSON, its first 64 KiB.")]


class DeadLetters:
    """Hands events that were refused to a sink of its own, which it owns. `clock` gives UTC epoch seconds."""

    def __init__(self, sink: Sink, *, clock: Callable[[], float] = time.time) -> None:
        self._sink = sink
        self._clock = clock

    def bury(self, envelope: Envelope, reason: str, by: str) -> None:
        """Durable when it returns. May be called again for the same event, which then comes twice, with the same id.

        Raises DeliveryError where it cannot be kept: then the event must wait, and all behind it.
        """
        taken = self._sink.send([_letter(envelope, reason, by, datetime.fromtimestamp(self._clock(), UTC))])
        if isinstance(taken, Refusal):
            raise DeliveryError(f"{self._sink.name}: refuses even dead letters: {taken.reason}")

    def close(self) -> None:
        """Close the sink. May be called twice."""
        self._sink.close()


def _letter(envelope: Envelope, reason: str, by: str, at: datetime) -> Envelope:
    letter = DeadLetter(
        sink=by,
        reason=reason,
        at=at,
        event_id=envelope.event_id,
        event_type=envelope.type,
        topic=envelope.topic,
        room_id=envelope.key,
        size_bytes=len(envelope.value),
        value=envelope.value[:KEPT_BYTES].decode(errors="replace"),
    )
    return Envelope(
        event_id=f"{envelope.event_id}:{by}",
        type="streammon.dead-letter.v1",
        source=envelope.source,
        subject=envelope.subject,
        time=rfc3339(at),
        dataschema=DEAD_LETTER_SCHEMA,
        topic=DEAD_LETTER_TOPIC,
        key=envelope.key,
        value=msgspec.json.encode(letter),
    )
