"""What is committed beside events: open incidents and pictures. Pure data, any thread."""

from __future__ import annotations

from dataclasses import dataclass

from streammon.events import EvidenceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRecord:
    """An open incident as the judge keeps it. `state` is opaque to the outbox; None means the incident is over."""

    incident_id: str
    room_id: str
    state: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRecord:
    """A picture on its way to the evidence store.

    `key` is its path there, relative and with `/`; `sha256` is of `jpeg`, in lower-case hexadecimal. `taken_s` is when
    the frame was received, in UTC epoch seconds; one of nobody knows when is as old as can be. `url` is what its event
    said of its place. `hits` and `passthrough` are JSON, as in its event: what is drawn into the annotated copy, and
    what later events echo.
    """

    key: str
    sha256: str
    jpeg: bytes
    room_id: str
    incident_id: str
    tenant: str = "default"
    taken_s: float = 0.0
    url: str | None = None
    hits: bytes = b"[]"
    passthrough: bytes = b"{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRecord:
    """A picture without its bytes: what is remembered of it as long as it is kept. See `EvidenceRecord`."""

    key: str
    kind: EvidenceKind
    sha256: str
    size_bytes: int
    room_id: str
    tenant: str
    incident_id: str
    url: str | None
    taken_s: float
    passthrough: bytes
