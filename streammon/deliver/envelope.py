"""The envelope an event travels in: CloudEvents 1.0 attributes around the event's JSON. Pure data, any thread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from urllib.parse import quote

import msgspec

from streammon.events import StreamEvent, ViolationEvent

SPEC_VERSION = "1.0"
VIOLATION_SCHEMA = "urn:streammon:schema:violation.v1"
STREAM_SCHEMA = "urn:streammon:schema:stream.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One published event. `event_id` and `source` together are unique, and the same again in a replay.

    `time` is RFC 3339 in UTC, `value` the event as JSON, `key` the room's id: what decides the Kafka partition, so
    the events of a room keep their order.
    """

    event_id: str
    type: str
    source: str
    subject: str
    time: str
    dataschema: str
    topic: str
    key: str
    value: bytes
    content_type: str = "application/json"

    @classmethod
    def of(cls, event: ViolationEvent | StreamEvent) -> Self:
        """Seal an event. Its datetimes must be in UTC."""
        if isinstance(event, ViolationEvent):
            name, dataschema, topic, at = "violation", VIOLATION_SCHEMA, "streammon.violations", event.processed_at
        else:
            name, dataschema, topic, at = "stream", STREAM_SCHEMA, "streammon.streams", event.at
        return cls(
            event_id=event.event_id,
            type=f"streammon.{name}.v1",
            source=f"/streammon/{quote(event.monitor.worker, safe='')}",
            subject=event.room_id,
            time=_rfc3339(at),
            dataschema=dataschema,
            topic=topic,
            key=event.room_id,
            value=msgspec.json.encode(event),
        )

    def kafka_headers(self) -> tuple[tuple[str, bytes], ...]:
        """The headers of binary mode, by the CloudEvents Kafka protocol binding 1.0.2, section 3.2: UTF-8 values."""
        attributes = {f"ce_{name}": value for name, value in self._attributes().items()}
        headers = {**attributes, "content-type": self.content_type}
        return tuple((name, value.encode()) for name, value in headers.items())

    def structured(self) -> bytes:
        """The whole event as one JSON object in one line, without a line end (CloudEvents JSON format 1.0.2)."""
        attributes = self._attributes()
        data = msgspec.Raw(self.value)
        return msgspec.json.encode({**attributes, "datacontenttype": self.content_type, "data": data})

    def _attributes(self) -> dict[str, str]:
        return {
            "specversion": SPEC_VERSION,
            "id": self.event_id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": self.time,
            "dataschema": self.dataschema,
        }


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
