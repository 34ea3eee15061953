"""What is committed beside events: open incidents and pictures. Pure data, any thread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRecord:
    """An open incident as the judge keeps it. `state` is opaque to the outbox; None means the incident is over."""

    incident_id: str
    room_id: str
    state: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRecord:
    """A picture on its way to the evidence folder.

    `key` is its path there, relative and with `/`; `sha256` is of `jpeg`, in lower-case hexadecimal.
    """

    key: str
    sha256: str
    jpeg: bytes
    room_id: str
    incident_id: str
