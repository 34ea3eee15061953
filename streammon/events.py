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

from streammon.entities import (
    Box,
    ChatLine,
    KeywordHit,
    LibraryMatch,
    Moment,
    PersonMatch,
    PictureState,
    QrReading,
    RoomState,
    Source,
    TextLine,
)

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
    watched. stopped: the monitor was stopped. worker_lost: the monitor died, and its successor says so. muted,
    false_alarm: somebody said so. policy_changed: the room's policy does not report the label any more.
    """

    CLEARED = "cleared"
    BLIND = "blind"
    ROOM_ENDED = "room_ended"
    STOPPED = "stopped"
    WORKER_LOST = "worker_lost"
    MUTED = "muted"
    FALSE_ALARM = "false_alarm"
    POLICY_CHANGED = "policy_changed"


class EvidenceStatus(StrEnum):
    """Where a picture is. All but the first are final, save that what is stored may expire or be deleted.

    pending: on its way to the store. stored: it is at its URL. lost: it gave way, the spool being full, before the
    store took it. withheld: the policy forbids keeping it, so only its hash and times exist. expired: kept for as long,
    or for as much room, as was asked for. deleted: somebody asked for that.
    """

    PENDING = "pending"
    STORED = "stored"
    LOST = "lost"
    WITHHELD = "withheld"
    EXPIRED = "expired"
    DELETED = "deleted"


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
    chat: ChatLine | None = None
    line: TextLine | None = None
    library: LibraryMatch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSummary:
    """How closely the incident was looked at: pictures freshly examined for it, and those of them with a hit, since its
    first moment, and the rule it met. A picture counts once, however many detectors looked at it.
    """

    interval_s: float
    inferences: Count
    hits: Count
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A picture kept aside. `url` is None where it is withheld; `sha256` is of the JPEG's bytes.

    `status` is that at the commit of the event that first named it: what became of it since, an evidence event says.
    """

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
    subject: Annotated[
        str | None,
        Meta(
            description="The person or picture, the code's payload, the keyword list, the kind of contact, or nothing."
        ),
    ]
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
    escalated: Annotated[bool, Meta(description="The label's incidents became too many for the policy.")] = False
    acknowledged_by: Annotated[str | None, Meta(description="Who said that they have seen it.")] = None

    @property
    def event_id(self) -> str:
        """The id a replay carries again: what consumers de-duplicate by."""
        return f"{self.incident_id}:{self.seq}"


class FeedbackAction(StrEnum):
    """What somebody says of incidents.

    acknowledge: I have seen it. mute: do not report this of the room for some time. false_alarm: it is not there.
    """

    ACKNOWLEDGE = "acknowledge"
    MUTE = "mute"
    FALSE_ALARM = "false_alarm"


class AuditOutcome(StrEnum):
    """What feedback came to.

    no_match: the room has no such incident, or this was said of it before. expired: a mute whose time was over already.
    """

    APPLIED = "applied"
    NO_MATCH = "no_match"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedIncident:
    """An incident that feedback was about. `first_feedback`: nobody had acknowledged it or called it false before."""

    incident_id: str
    label: str
    subject: str | None
    models: tuple[str, ...]
    first_feedback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who said what of a room's incidents, when, and what came of it: one per feedback, whatever it came to."""

    feedback_id: str
    room_id: str
    tenant: str
    owner_epoch: Epoch
    action: FeedbackAction
    outcome: AuditOutcome
    by: str
    at: Utc
    seconds: Annotated[float | None, Meta(description="How long it was muted for, counted from `at`.")]
    note: str | None
    label: Annotated[str | None, Meta(description="What the feedback named, as it named it.")]
    subject: str | None
    incidents: tuple[AuditedIncident, ...]
    processed_at: Utc
    monitor: Monitor

    @property
    def event_id(self) -> str:
        """The same for the same feedback, so that one that is delivered twice is one to consumers."""
        return self.feedback_id


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindTime:
    """Seconds in which the room was not examined, by cause, since the owner epoch began."""

    cause: str
    seconds: Annotated[float, Meta(ge=0.0)]


class StreamChange(StrEnum):
    """What a stream event tells of.

    The connection's `state`, what the `picture` amounts to, its `resolution`, a `detector` that is switched off after
    failures or on again, or the `coverage`: the room is examined more sparsely than it should be, or as asked again.
    """

    STATE = "state"
    PICTURE = "picture"
    RESOLUTION = "resolution"
    DETECTOR = "detector"
    COVERAGE = "coverage"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """A room's connection, its picture or how it is examined changed. What did not change is repeated as it was."""

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
    disabled_detectors: Annotated[
        tuple[str, ...], Meta(description="Detectors that failed too often: the room is blind for their labels.")
    ] = ()
    coverage: Annotated[
        Annotated[float, Meta(ge=0.0, le=1.0)] | None,
        Meta(description="Where it changed: the share of the samples of the last 30 s that were examined."),
    ] = None

    @property
    def event_id(self) -> str:
        """The id a replay carries again: what consumers de-duplicate by."""
        return f"{self.room_id}:{self.owner_epoch}:{self.seq}"


class EvidenceKind(StrEnum):
    """What a stored picture is: the frame itself, a copy with what was seen drawn in, or one blurred past knowing."""

    SNAPSHOT = "snapshot"
    ANNOTATED = "annotated"
    BLURRED = "blurred"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceEvent:
    """What became of one picture of an incident: published once when it is stored or lost, and once when it is gone."""

    incident_id: str
    room_id: str
    tenant: str
    passthrough: Mapping[str, Any]
    kind: EvidenceKind
    status: EvidenceStatus
    url: Annotated[str | None, Meta(description="Where it lies, lay or was to lie; null where that was not noted.")]
    sha256: Annotated[str, Meta(description="Of the JPEG's bytes, in lower-case hexadecimal.")]
    reason: Annotated[str | None, Meta(description="Why, as a short code such as `spool_full`, `age` or `size`.")]
    at: Utc
    monitor: Monitor

    @property
    def event_id(self) -> str:
        """The id a replay carries again: what consumers de-duplicate by."""
        return f"{self.incident_id}:{self.kind}:{self.sha256[:16]}:{self.status}"
