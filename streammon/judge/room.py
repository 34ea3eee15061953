"""Judges one room: sorts each look into incidents and writes the events. Pure: clocks come with the calls."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from streammon.entities import Detection, Observation, Outcome, Room
from streammon.events import EndReason, Hit, Monitor, Phase, PolicyRef, SamplingSummary, Verdict, ViolationEvent
from streammon.judge.incident import Incident, Key, Look
from streammon.judge.interpret import interpret
from streammon.judge.policy import Policy
from streammon.taxonomy import load_taxonomy

_NAMESPACE = uuid.UUID("6b0a1a0e-2f35-5d6c-9b63-0d1a5b7c4e11")
# More subjects than this of one label at a time (codes, say) share one incident without a subject.
_MAX_SUBJECTS = 32
# An incident that starts again this soon after its owner was lost goes on from the old one.
_CONTINUES_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The present: `monotonic_s` for durations, `utc` for people."""

    monotonic_s: float
    utc: datetime


class RoomJudge:
    """One room under one owner. `seq` of its events begins at 1, or after those of a lost owner's open incidents."""

    def __init__(self, room: Room, epoch: int, policy: Policy, monitor: Monitor) -> None:
        self._room = room
        self._epoch = epoch
        self._policy = policy
        self._monitor = monitor
        self._seq = 0
        self._incidents: dict[Key, Incident] = {}
        self._lost: dict[Key, str] = {}
        self._opened_s = 0.0
        self._closed = False

    def end_lost(self, lost: Iterable[ViolationEvent], now: Now) -> list[ViolationEvent]:
        """Ends what a dead owner left open. `lost` holds the last event of each of its incidents."""
        self._opened_s = now.monotonic_s
        left_open = list(lost)
        # An event's id is its incident's id and seq, and these incidents have had events: no id may come twice.
        self._seq = max((event.seq for event in left_open), default=0)
        events = []
        for event in left_open:
            self._lost[Key(label=event.label, subject=event.subject)] = event.incident_id
            self._seq += 1
            events.append(
                replace(
                    event,
                    owner_epoch=self._epoch,
                    seq=self._seq,
                    phase=Phase.END,
                    previous_verdict=event.verdict,
                    hits=(),
                    processed_at=now.utc,
                    ended_at=now.utc,
                    end_reason=EndReason.WORKER_LOST,
                    monitor=self._monitor,
                )
            )
        return events

    def observe(self, observation: Observation, now: Now) -> list[ViolationEvent]:
        """Takes in one detector's look at one frame. A frame that was not examined says nothing.

        Nor does one that comes after `close`: what it began nobody would end.
        """
        if self._closed or observation.outcome is not Outcome.EXAMINED:
            return []
        hits = self._by_key(interpret(observation.detections, self._policy))
        events = self._hits(observation, hits, now)
        events += self._misses(observation, hits, now)
        return events

    def tick(self, now: Now) -> list[ViolationEvent]:
        """Ends the incidents that nobody has been able to look at for too long."""
        gone = [i for i in self._incidents.values() if i.blind(now.monotonic_s, self._policy.blind_after_s)]
        return self._end(gone, EndReason.BLIND, now)

    def close(self, reason: EndReason, now: Now) -> list[ViolationEvent]:
        """Ends everything: the room is no longer watched. May be called twice."""
        self._closed = True
        return self.end_all(reason, now)

    def end_all(self, reason: EndReason, now: Now) -> list[ViolationEvent]:
        """Ends what is open: the stream is over, for now."""
        return self._end(list(self._incidents.values()), reason, now)

    def _by_key(self, detections: list[Detection]) -> dict[Key, tuple[Detection, ...]]:
        found: dict[Key, tuple[Detection, ...]] = {}
        for detection in detections:
            rule = self._policy.rules[str(detection.label)]
            if rule.verdict(detection.score) is not Verdict.PASS:
                key = self._key(detection, found)
                found[key] = (*found.get(key, ()), detection)
        return found

    def _key(self, detection: Detection, found: Iterable[Key]) -> Key:
        key = Key(label=str(detection.label), subject=detection.subject)
        known = {*self._incidents, *found}
        if key in known or sum(other.label == key.label for other in known) < _MAX_SUBJECTS:
            return key
        return replace(key, subject=None)

    def _hits(self, observation: Observation, hits: dict[Key, tuple[Detection, ...]], now: Now) -> list[ViolationEvent]:
        events = []
        for key, detections in hits.items():
            incident = self._incidents.get(key)
            if incident is None:
                incident = Incident(key=key, rule=self._policy.rules[key.label], detector=observation.detector)
                self._incidents[key] = incident
            previous = incident.verdict
            if incident.hit(Look(at_s=observation.at_s, moment=observation.moment, hits=detections)) is not None:
                phase = Phase.UPDATE if incident.incident_id else Phase.START
                if phase is Phase.START:
                    incident.incident_id = self._name(incident)
                    incident.continues = self._continued(key, now)
                events.append(self._event(incident, phase, previous, now))
        return events

    def _misses(self, observation: Observation, hits: Iterable[Key], now: Now) -> list[ViolationEvent]:
        seen = set(hits)
        gone = [
            incident
            for key, incident in self._incidents.items()
            if incident.detector == observation.detector and key not in seen and incident.miss(observation.at_s)
        ]
        return self._end(gone, EndReason.CLEARED, now)

    def _end(self, gone: list[Incident], reason: EndReason, now: Now) -> list[ViolationEvent]:
        for incident in gone:
            del self._incidents[incident.key]
        return [self._event(i, Phase.END, i.verdict, now, reason) for i in gone if i.open]

    def _name(self, incident: Incident) -> str:
        first = _present(incident.first).moment
        parts = (self._room.room_id, self._epoch, incident.key.label, incident.key.subject, first.session, first.pts_s)
        return str(uuid.uuid5(_NAMESPACE, repr(parts)))

    def _continued(self, key: Key, now: Now) -> str | None:
        """The lost incident that one that starts now goes on from; only the first to start does."""
        lost = self._lost.pop(key, None)
        return lost if now.monotonic_s - self._opened_s <= _CONTINUES_WITHIN_S else None

    def _event(
        self, incident: Incident, phase: Phase, previous: Verdict, now: Now, reason: EndReason | None = None
    ) -> ViolationEvent:
        self._seq += 1
        taxonomy = load_taxonomy()
        label = taxonomy.labels[incident.key.label]
        first, last, peak = _present(incident.first), _present(incident.last), _present(incident.peak)
        rule = incident.rule
        return ViolationEvent(
            incident_id=incident.incident_id,
            owner_epoch=self._epoch,
            phase=phase,
            seq=self._seq,
            continues=incident.continues,
            room_id=self._room.room_id,
            tenant=self._room.tenant,
            passthrough=self._room.passthrough,
            verdict=incident.verdict,
            previous_verdict=None if phase is Phase.START else previous,
            severity=rule.severity,
            actions=rule.actions,
            category=label.category,
            label=label.name,
            label_code=label.code,
            subject=incident.key.subject,
            taxonomy_version=taxonomy.version,
            confidence=last.score,
            peak_confidence=peak.score,
            source=last.hits[0].source,
            hits=tuple(_hit(detection) for detection in last.hits) if phase is not Phase.END else (),
            first=first.moment,
            last=last.moment,
            peak=peak.moment,
            processed_at=now.utc,
            ended_at=now.utc if phase is Phase.END else None,
            sampling=SamplingSummary(
                interval_s=self._room.interval_s,
                inferences=incident.inferences,
                hits=incident.hit_count,
                rule=str(rule.confirm),
            ),
            evidence=(),
            policy=PolicyRef(
                id=self._policy.id,
                version=self._policy.version,
                threshold_review=rule.review,
                threshold_block=rule.block,
            ),
            end_reason=reason,
            monitor=self._monitor,
        )


def _hit(detection: Detection) -> Hit:
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
    )


def _present(look: Look | None) -> Look:
    """The look of an incident that has started: it has had a hit."""
    if look is None:
        raise ValueError("an incident without a hit has no event")
    return look
