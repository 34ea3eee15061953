"""The envelope an event travels in: CloudEvents 1.0 attributes around the event's JSON. Pure data, any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Self
from urllib.parse import quote

import msgspec

from streammon.events import AuditEvent, EvidenceEvent, Phase, StreamEvent, ViolationEvent

SPEC_VERSION = "1.0"
VIOLATION_SCHEMA = "urn:streammon:schema:violation.v1"
STREAM_SCHEMA = "urn:streammon:schema:stream.v1"
EVIDENCE_SCHEMA = "urn:streammon:schema:evidence.v1"
AUDIT_SCHEMA = "urn:streammon:schema:audit.v1"

Sealable = ViolationEvent | StreamEvent | EvidenceEvent | AuditEvent
"""What goes into an envelope."""


class Importance(IntEnum):
    """What gives way first where the spool is full: updates, then what is told of streams and pictures, the rest never.

    The numbers stand in spool files.
    """

    UPDATE = 0
    STREAM = 1
    KEPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One published event. `event_id` and `source` together are unique, and the same again in a replay.

    `time` is RFC 3339 in UTC, `value` the event as JSON, `key` the room's id: what decides the Kafka partition, so
    the events of a room keep their order. `importance` is not published.
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
    importance: Importance = Importance.KEPT

    @classmethod
    def of(cls, event: Sealable) -> Self:
        """Seal an event. Its datetimes must be in UTC."""
        if isinstance(event, ViolationEvent):
            name, dataschema, topic, at = "violation", VIOLATION_SCHEMA, "streammon.violations", event.processed_at
        elif isinstance(event, EvidenceEvent):
            name, dataschema, topic, at = "evidence", EVIDENCE_SCHEMA, "streammon.evidence", event.at
        elif isinstance(event, AuditEvent):
            name, dataschema, topic, at = "audit", AUDIT_SCHEMA, "streammon.audit", event.processed_at
        else:
            name, dataschema, topic, at = "stream", STREAM_SCHEMA, "streammon.streams", event.at
        return cls(
            event_id=event.event_id,
            type=f"streammon.{name}.v1",
            source=f"/streammon/{quote(event.monitor.worker, safe='')}",
            subject=event.room_id,
            time=rfc3339(at),
            dataschema=dataschema,
            topic=topic,
            key=event.room_id,
            value=msgspec.json.encode(event),
            importance=_importance(event),
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

    @classmethod
    def received(cls, topic: str, key: bytes, headers: Sequence[tuple[str, bytes]], value: bytes) -> Self:
        """An event as it came from Kafka, in binary or structured mode. Raises ValueError where it is none of ours."""
        try:
            attributes, data = _opened({name.lower(): content.decode() for name, content in headers}, value)
            return cls(
                event_id=attributes["id"],
                type=attributes["type"],
                source=attributes["source"],
                subject=attributes["subject"],
                time=attributes["time"],
                dataschema=attributes["dataschema"],
                topic=topic,
                key=key.decode(),
                value=data,
            )
        except (KeyError, UnicodeDecodeError, msgspec.DecodeError) as error:
            raise ValueError(f"is no CloudEvent of ours: {error!r}") from error

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


def _opened(headers: Mapping[str, str], value: bytes) -> tuple[Mapping[str, str], bytes]:
    """The attributes and the data, from wherever the mode puts them."""
    if not headers.get("content-type", "").startswith("application/cloudevents+json"):
        return {name.removeprefix("ce_"): content for name, content in headers.items()}, value
    event = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    data = bytes(event.pop("data"))
    return {name: msgspec.json.decode(raw, type=str) for name, raw in event.items()}, data


def _importance(event: Sealable) -> Importance:
    if isinstance(event, StreamEvent | EvidenceEvent):
        return Importance.STREAM
    if isinstance(event, AuditEvent):
        return Importance.KEPT
    return Importance.UPDATE if event.phase is Phase.UPDATE else Importance.KEPT


def rfc3339(at: datetime) -> str:
    """An aware time in UTC, as CloudEvents and JSON want it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
