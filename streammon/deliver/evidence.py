"""Evidence as data: encodes a frame to JPEG, hashes it, and says beforehand where it will lie. Pure, any thread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import cv2

from streammon.deliver.config import EvidenceConfig
from streammon.deliver.records import EvidenceRecord
from streammon.entities import Image
from streammon.errors import EvidenceError
from streammon.events import Evidence, EvidenceStatus

NAME_BYTES = 120
"""The longest name of a folder made from an id; file systems end at 255, and the file's name holds more than an id."""


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


def file_snapshot(shot: Snapshot, config: EvidenceConfig, *, room_id: str, incident_id: str, at: datetime) -> Filed:
    """Give a picture its place. `at` is when the frame was received, aware."""
    key = evidence_key(room_id, incident_id, at, shot.sha256)
    record = EvidenceRecord(key=key, sha256=shot.sha256, jpeg=shot.jpeg, room_id=room_id, incident_id=incident_id)
    return Filed(evidence=_evidence(shot, EvidenceStatus.PENDING, evidence_url(config, key)), record=record)


def withhold(shot: Snapshot) -> Evidence:
    """What an event says about a picture that the policy forbids to keep: its hash and size only."""
    return _evidence(shot, EvidenceStatus.WITHHELD, None)


def evidence_key(room_id: str, incident_id: str, at: datetime, sha256: str) -> str:
    """The picture's path in the folder: room/day/time-incident-hash.jpg, time in UTC.

    Ids come from strangers: whatever is in them, the parts are plain ASCII names without a leading dot, of bounded
    length, and different ids give different names.
    """
    utc = at.astimezone(UTC)
    name = f"{utc:%H%M%S.%f}-{_safe_name(incident_id)}-{sha256[:12]}.jpg"
    return f"{_safe_name(room_id)}/{utc:%Y%m%d}/{name}"


def evidence_url(config: EvidenceConfig, key: str) -> str:
    """Where the picture will be read: below `public_url`, else as file:// of this machine."""
    if config.public_url is not None:
        return f"{config.public_url.rstrip('/')}/{quote(key)}"
    return (config.folder.absolute() / key).as_uri()


def _safe_name(text: str) -> str:
    """Percent-encoded, so reversible; where that is too long, cut, with a hash behind "=", which is always encoded."""
    name = quote(text, safe="", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if 0 < len(name) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{name[: NAME_BYTES - 33]}={digest}"


def _evidence(shot: Snapshot, status: EvidenceStatus, url: str | None) -> Evidence:
    return Evidence(kind="snapshot", status=status, url=url, sha256=shot.sha256, width=shot.width, height=shot.height)
