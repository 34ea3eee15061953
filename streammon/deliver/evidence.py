"""Evidence as data: encodes a frame to JPEG, says beforehand where it will lie, and what became of it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import cv2
import msgspec

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_path import PathTemplate, Place
from streammon.deliver.picture_stores import picture_url
from streammon.deliver.records import EvidenceRecord, PictureRecord
from streammon.entities import Image
from streammon.errors import EvidenceError
from streammon.events import Evidence, EvidenceEvent, EvidenceKind, EvidenceStatus, Monitor, ViolationEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A picture as JPEG; `sha256` is of those bytes, sizes are in pixels."""

    jpeg: bytes
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """What an event says about a picture that is kept, and the picture to commit together with the event."""

    evidence: Evidence
    record: EvidenceRecord


def snapshot(image: Image, *, quality: int = 85) -> Snapshot:
    """Encode an H x W x 3 RGB picture. Raises EvidenceError where it cannot be encoded, such as an empty one."""
    try:
        encoded, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
    except cv2.error as error:
        raise EvidenceError(f"a picture of shape {image.shape} cannot be encoded") from error
    if not encoded:
        raise EvidenceError(f"a picture of shape {image.shape} cannot be encoded")
    content = jpeg.tobytes()
    height, width = image.shape[:2]
    return Snapshot(jpeg=content, sha256=hashlib.sha256(content).hexdigest(), width=width, height=height)


def file_snapshot(shot: Snapshot, config: EvidenceConfig, event: ViolationEvent, at: datetime) -> Filed:
    """Give a picture that shows what an event tells of its place. `at` is when the frame was received, aware."""
    place = Place(tenant=event.tenant, room_id=event.room_id, incident_id=event.incident_id, at=at, sha256=shot.sha256)
    key = template(config.path).key(place)
    url = picture_url(config, key)
    record = EvidenceRecord(
        key=key,
        sha256=shot.sha256,
        jpeg=shot.jpeg,
        room_id=event.room_id,
        incident_id=event.incident_id,
        tenant=event.tenant,
        taken_s=at.timestamp(),
        url=url,
        hits=msgspec.json.encode(event.hits),
        passthrough=msgspec.json.encode(event.passthrough),
    )
    return Filed(evidence=_evidence(shot, EvidenceStatus.PENDING, url), record=record)


def withhold(shot: Snapshot) -> Evidence:
    """What an event says about a picture that the policy forbids to keep: its hash and size only."""
    return _evidence(shot, EvidenceStatus.WITHHELD, None)


def picture_event(
    picture: PictureRecord, status: EvidenceStatus, reason: str | None, now_s: float, monitor: Monitor
) -> EvidenceEvent:
    """What is published of a picture whose status has changed. `now_s` is in UTC epoch seconds."""
    return EvidenceEvent(
        incident_id=picture.incident_id,
        room_id=picture.room_id,
        tenant=picture.tenant,
        passthrough=msgspec.json.decode(picture.passthrough),
        kind=picture.kind,
        status=status,
        url=picture.url,
        sha256=picture.sha256,
        reason=reason,
        at=datetime.fromtimestamp(now_s, UTC),
        monitor=monitor,
    )


@lru_cache(maxsize=8)
def template(text: str) -> PathTemplate:
    """The template that a configuration's text means. Raises ValueError where it means none."""
    return PathTemplate(text)


def _evidence(shot: Snapshot, status: EvidenceStatus, url: str | None) -> Evidence:
    return Evidence(
        kind=EvidenceKind.SNAPSHOT.value,
        status=status,
        url=url,
        sha256=shot.sha256,
        width=shot.width,
        height=shot.height,
    )
