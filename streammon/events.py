"""What streammon publishes: violation events and stream events, as data. The JSON Schemas are generated from here.

The descriptions are the published ones: changing a field here changes `deliver/schema/*.json` (a test compares them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from streammon.entities import Box, KeywordHit, Moment, PersonMatch, PictureState, QrReading, RoomState, Source

Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
Seq = Annotated[int, Meta(ge=1, description="Rises by one per event of this kind within (room_id, owner_epoch).")]
Epoch = Annotated[
    int, Meta(ge=1, description="Grows with every owner of the room; order events by (owner_epoch, seq).")
]
Utc = Annotated[datetime, Meta(tz=True)]


class Phase(StrEnum):
    """Where in its life an incident is."""

    START = "start"
    UPDATE = "update"
    END = "end"


class Verdict(StrEnum):
    """What the policy makes of it."""

    PASS = "pass"  # noqa: S105
    REVIEW = "review"
    BLOCK = "block"


class EndReason(StrEnum):
    """Why an incident ended.

    cleared: looked, and no longer there. blind: nobody could look for too long. room_ended: the room is no longer
    watched. stopped: the monitor was stopped. worker_lost: the monitor died, and its successor says so.
    """

    CLEARED = "cleared"
    BLIND = "blind"
    ROOM_ENDED = "room_ended"
    STOPPED = "stopped"
    WORKER_LOST = "worker_lost"


class EvidenceStatus(StrEnum):
    """Where a picture is. withheld: the policy forbids keeping it, so only its hash and times exist."""

    PENDING = "pending"
    STORED = "stored"
    LOST = "lost"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One detection that counts for the incident, of the event's last frame."""

    detector: str
    model: str
    label: str
    confidence: Ratio
    box: Box | None = None
    text: str | None = None
    keywords: tuple[KeywordHit, ...] = ()
    qr: QrReading | None = None
    person: PersonMatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSummary:
    """How closely the incident was looked at: fresh inferences and hits since its first moment, and the rule it met."""

    interval_s: float
    inferences: Count
    hits: Count
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A picture kept aside. `url` is None where it is withheld; `sha256` is of the JPEG's bytes."""

    kind: str
    status: EvidenceStatus
    url: str | None
    sha256: str
    width: Count
    height: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """The policy that judged, and the thresholds that applied to the label; None where the policy has none."""

    id: str
    version: str
    threshold_review: Ratio | None
    threshold_block: Ratio | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """Who published: the software's version and the worker's name."""

    version: str
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationEvent:
    """One step in an incident's life: a stretch of time in which one room broke the policy in one way."""

    incident_id: str
    owner_epoch: Epoch
    phase: Phase
    seq: Seq
    continues: Annotated[str | None, Meta(description="The incident of a lost owner that this one goes on from.")]
    room_id: str
    tenant: str
    passthrough: Mapping[str, Any]
    verdict: Verdict
    previous_verdict: Verdict | None
    severity: Annotated[int, Meta(ge=0, le=5)]
    actions: tuple[str, ...]
    category: str
    label: str
    label_code: int
    subject: Annotated[str | None, Meta(description="The person, the code's payload, the keyword list, or nothing.")]
    taxonomy_version: str
    confidence: Ratio
    peak_confidence: Ratio
    source: Source
    hits: tuple[Hit, ...]
    first: Moment
    last: Moment
    peak: Moment
    processed_at: Utc
    ended_at: Utc | None
    sampling: SamplingSummary
    evidence: tuple[Evidence, ...]
    policy: PolicyRef
    end_reason: EndReason | None
    monitor: Monitor

    @property
    def event_id(self) -> str:
        """The id a replay carries again: what consumers de-duplicate by."""
        return f"{self.incident_id}:{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindTime:
    """Seconds in which the room was not examined, by cause, since the owner epoch began."""

    cause: str
    seconds: Annotated[float, Meta(ge=0.0)]


class StreamChange(StrEnum):
    """What a stream event tells of: the connection's state, what the picture amounts to, or its size."""

    STATE = "state"
    PICTURE = "picture"
    RESOLUTION = "resolution"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """A room's connection or picture changed. What did not change is repeated as it was."""

    room_id: str
    tenant: str
    passthrough: Mapping[str, Any]
    owner_epoch: Epoch
    seq: Seq
    session: Count
    state: RoomState
    previous_state: RoomState | None
    reason: Annotated[str | None, Meta(description="Why, as a short code such as `unreachable` or `stalled`.")]
    at: Utc
    monitor: Monitor
    blind: tuple[BlindTime, ...] = field(default_factory=tuple)
    detail: Annotated[str | None, Meta(description="What is wrong and the cure, in a line for people.")] = None
    change: StreamChange = StreamChange.STATE
    picture: Annotated[PictureState | None, Meta(description="None before the first picture.")] = None
    previous_picture: PictureState | None = None
    width: Annotated[Count | None, Meta(description="Of the stream's picture, in pixels.")] = None
    height: Count | None = None

    @property
    def event_id(self) -> str:
        """The id a replay carries again: what consumers de-duplicate by."""
        return f"{self.room_id}:{self.owner_epoch}:{self.seq}"
