"""Makes what evidence is made of: events, pictures that wait and pictures that are kept, and an outbox to read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cv2
import msgspec
import numpy as np

from streammon.deliver.evidence_path import DEFAULT_TEMPLATE, PathTemplate, Place
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord, PictureRecord
from streammon.entities import Moment, Source
from streammon.events import (
    EvidenceEvent,
    EvidenceKind,
    EvidenceStatus,
    Monitor,
    Phase,
    PolicyRef,
    SamplingSummary,
    Verdict,
    ViolationEvent,
)

AT = datetime(2025, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
NOW_S = AT.timestamp() + 3600
MONITOR = Monitor(version="1", worker="w1")
TEMPLATE = PathTemplate(DEFAULT_TEMPLATE)
_MOMENT = Moment(session=1, pts_s=1.0, received_at=AT)


def jpeg(number: int = 0, *, side_px: int = 64) -> bytes:
    """A real one, of noise, another for each number."""
    image = np.random.default_rng(number).integers(0, 255, (side_px, side_px, 3), np.uint8)
    encoded, content = cv2.imencode(".jpg", image)
    assert encoded
    return content.tobytes()


def waiting(
    number: int,
    *,
    room_id: str = "10086",
    tenant: str = "acme",
    taken_s: float = AT.timestamp(),
    content: bytes | None = None,
) -> EvidenceRecord:
    """A picture on its way, of incident `i<number>`."""
    content = jpeg(number) if content is None else content
    sha256 = hashlib.sha256(content).hexdigest()
    at = datetime.fromtimestamp(taken_s, UTC)
    key = TEMPLATE.key(Place(tenant=tenant, room_id=room_id, incident_id=f"i{number}", at=at, sha256=sha256))
    return EvidenceRecord(
        key=key,
        sha256=sha256,
        jpeg=content,
        room_id=room_id,
        incident_id=f"i{number}",
        tenant=tenant,
        taken_s=taken_s,
        url=f"file:///e/{key}",
        passthrough=b'{"order":7}',
    )


def picture(number: int) -> PictureRecord:
    """The same picture, kept."""
    record = waiting(number)
    return PictureRecord(
        key=record.key,
        kind=EvidenceKind.SNAPSHOT,
        sha256=record.sha256,
        size_bytes=len(record.jpeg),
        room_id=record.room_id,
        tenant=record.tenant,
        incident_id=record.incident_id,
        url=record.url,
        taken_s=record.taken_s,
        passthrough=record.passthrough,
    )


def violation(**changed: Any) -> ViolationEvent:
    """The start of incident `abc` in room 10086 of tenant acme."""
    event = ViolationEvent(
        incident_id="abc", owner_epoch=1, phase=Phase.START, seq=1, continues=None, room_id="10086", tenant="acme",
        passthrough={"order": 7}, verdict=Verdict.BLOCK, previous_verdict=None, severity=4, actions=(),
        category="violence", label="violence.gore", label_code=1, subject=None, taxonomy_version="1", confidence=0.5,
        peak_confidence=0.5, source=Source.VISUAL, hits=(), first=_MOMENT, last=_MOMENT, peak=_MOMENT, processed_at=AT,
        ended_at=None, sampling=SamplingSummary(interval_s=1.0, inferences=1, hits=1, rule="1 in 10s"), evidence=(),
        policy=PolicyRef(id="p", version="1", threshold_review=0.1, threshold_block=0.2), end_reason=None,
        monitor=MONITOR,
    )  # fmt: skip
    return replace(event, **changed)


def told(outbox: Outbox, sink: str = "memory") -> list[EvidenceEvent]:
    """The evidence events that the outbox has for a registered sink, oldest first."""
    envelopes = [envelope for _, envelope in outbox.pending(sink, 10_000)]
    return [
        msgspec.json.decode(envelope.value, type=EvidenceEvent)
        for envelope in envelopes
        if envelope.type == "streammon.evidence.v1"
    ]


def statuses(outbox: Outbox) -> list[tuple[str, EvidenceKind, EvidenceStatus, str | None]]:
    """The same in short: incident, kind, status and reason."""
    return [(event.incident_id, event.kind, event.status, event.reason) for event in told(outbox)]
