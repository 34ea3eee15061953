"""Writes a room's events: what is known of an incident, put as consumers read it. Pure: numbers them, nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime

from streammon.entities import Detection, Moment, Room
from streammon.events import (
    AuditedIncident,
    AuditEvent,
    AuditOutcome,
    EndReason,
    Hit,
    Monitor,
    Phase,
    PolicyRef,
    SamplingSummary,
    Verdict,
    ViolationEvent,
)
from streammon.judge.feedback import Feedback
from streammon.judge.incident import Incident, Key, Sighting
from streammon.judge.policy import Policy
from streammon.taxonomy import load_taxonomy

_NAMESPACE = uuid.UUID("6b0a1a0e-2f35-5d6c-9b63-0d1a5b7c4e11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The present: `monotonic_s` for durations, `utc` for people."""

    monotonic_s: float
    utc: datetime


class Reporter:
    """One room's under one owner. `seq` is that of the last event."""

    def __init__(self, room: Room, epoch: int, monitor: Monitor, seq: int = 0) -> None:
        self._room = room
        self.interval_s = room.interval_s
        self._epoch = epoch
        self._monitor = monitor
        self.seq = seq

    def name(self, key: Key, first: Moment, taken: Container[str]) -> str:
        """The id of the incident that began then, another one than those that are taken."""
        parts = (self._room.room_id, self._epoch, key.label, key.subject, first.session, float(first.pts_s))
        name = str(uuid.uuid5(_NAMESPACE, repr(parts)))
        while name in taken:  # a mute or a policy ended it, and it is back in the same picture
            name = str(uuid.uuid5(_NAMESPACE, name))
        return name

    def start(self, incident: Incident, policy: Policy, now: Now) -> ViolationEvent:
        """An incident has started."""
        return self._event(incident, Phase.START, policy, now)

    def update(self, incident: Incident, previous: Verdict, policy: Policy, now: Now) -> ViolationEvent:
        """Its verdict was `previous`, or something else was said of it."""
        return replace(self._event(incident, Phase.UPDATE, policy, now), previous_verdict=previous)

    def end(self, incident: Incident, reason: EndReason, policy: Policy, now: Now) -> ViolationEvent:
        """It is over."""
        event = self._event(incident, Phase.END, policy, now)
        return replace(event, previous_verdict=incident.verdict, hits=(), ended_at=now.utc, end_reason=reason)

    def lost(self, last: ViolationEvent, now: Now) -> ViolationEvent:
        """An incident is over whose owner died; `last` was its last event."""
        self.seq += 1
        return replace(
            last,
            owner_epoch=self._epoch,
            seq=self.seq,
            phase=Phase.END,
            previous_verdict=last.verdict,
            hits=(),
            processed_at=now.utc,
            ended_at=now.utc,
            end_reason=EndReason.WORKER_LOST,
            monitor=self._monitor,
        )

    def audit(
        self, feedback: Feedback, outcome: AuditOutcome, incidents: tuple[AuditedIncident, ...], now: Now
    ) -> AuditEvent:
        """Somebody has said something of the room."""
        return AuditEvent(
            feedback_id=str(uuid.uuid5(_NAMESPACE, repr(feedback))),
            room_id=self._room.room_id,
            tenant=self._room.tenant,
            owner_epoch=self._epoch,
            action=feedback.action,
            outcome=outcome,
            by=feedback.by,
            at=feedback.at,
            seconds=feedback.seconds,
            note=feedback.note,
            label=feedback.label,
            subject=feedback.subject,
            incidents=incidents,
            processed_at=now.utc,
            monitor=self._monitor,
        )

    def _event(self, incident: Incident, phase: Phase, policy: Policy, now: Now) -> ViolationEvent:
        self.seq += 1
        taxonomy = load_taxonomy()
        label = taxonomy.labels[incident.key.label]
        rule = policy.rules[incident.key.label]
        first, last, peak = _present(incident.first), _present(incident.last), _present(incident.peak)
        return ViolationEvent(
            incident_id=incident.incident_id,
            owner_epoch=self._epoch,
            phase=phase,
            seq=self.seq,
            continues=incident.continues,
            room_id=self._room.room_id,
            tenant=self._room.tenant,
            passthrough=self._room.passthrough,
            verdict=incident.verdict,
            previous_verdict=None,
            severity=max(rule.severity, incident.severity),
            actions=tuple(dict.fromkeys((*rule.actions, *incident.added_actions))),
            category=label.category,
            label=label.name,
            label_code=label.code,
            subject=incident.key.subject,
            taxonomy_version=taxonomy.version,
            confidence=last.score,
            peak_confidence=peak.score,
            source=incident.hits[0].source,
            hits=tuple(hit_of(detection) for detection in incident.hits),
            first=first.moment,
            last=last.moment,
            peak=peak.moment,
            processed_at=now.utc,
            ended_at=None,
            sampling=SamplingSummary(
                interval_s=self.interval_s,
                inferences=incident.looks - first.look + 1,
                hits=incident.sightings - first.hit + 1,
                rule=str(rule.confirm),
            ),
            evidence=(),
            policy=PolicyRef(
                id=policy.id,
                version=policy.version,
                threshold_review=rule.review,
                threshold_block=rule.block,
            ),
            end_reason=None,
            monitor=self._monitor,
            escalated=incident.escalated,
            acknowledged_by=incident.acknowledged_by,
        )


def hit_of(detection: Detection) -> Hit:
    """The detection as events carry it."""
    return Hit(
        detector=detection.detector,
        model=detection.model,
        label=str(detection.label),
        confidence=detection.score,
        box=detection.box,
        text=detection.text,
        keywords=detection.keywords,
        qr=detection.qr,
        person=detection.person,
        chat=detection.chat,
        line=detection.line,
        library=detection.library,
    )


def _present(sighting: Sighting | None) -> Sighting:
    """The sighting of an incident that has started: it has been seen."""
    if sighting is None:
        raise ValueError("an incident that nobody has seen has no event")
    return sighting
