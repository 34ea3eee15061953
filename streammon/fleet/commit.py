"""Commits what was judged: events, the incidents they leave open, and the picture that shows why. Engine's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from threading import Event as Flag

import msgspec

from streammon.deliver.config import EvidenceConfig
from streammon.deliver.envelope import Envelope
from streammon.deliver.evidence import Snapshot, file_snapshot, snapshot, withhold
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord, IncidentRecord
from streammon.entities import Frame
from streammon.errors import EvidenceError, SpoolError
from streammon.events import Evidence, Phase, ViolationEvent
from streammon.fleet.rooms import Event
from streammon.judge.policy import Policy
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

_RETRY_S = 1.0


def lost_incidents(outbox: Outbox) -> list[ViolationEvent]:
    """The last event of each incident that a dead owner left open, oldest first."""
    records = outbox.open_incidents()
    return [msgspec.json.decode(record.state, type=ViolationEvent) for record in records if record.state is not None]


class Committer:
    """Puts events into the outbox. What cannot be written is tried again until it can: nothing judged is lost.

    `blocked_by` says why it is being tried again, None where it is not.
    """

    def __init__(
        self, outbox: Outbox, evidence: EvidenceConfig, policies: Callable[[str], Policy], metrics: Metrics
    ) -> None:
        self._outbox = outbox
        self._config = evidence
        self._policies = policies
        self._metrics = metrics
        self._kept: dict[str, tuple[Evidence, ...]] = {}
        self._forbidden: set[tuple[str, str]] = set()
        self.blocked_by: str | None = None

    def commit(self, events: Sequence[Event], frame: Frame | None, stop: Flag) -> None:
        """Takes events in, with the frame that they were judged on, or None where time alone made them.

        Blocks while the spool cannot be written; raises SpoolError only where `stop` is set meanwhile.
        """
        if not events:
            return
        for event in events:
            if isinstance(event, ViolationEvent):
                self._note_forbidden(event)
        pictures: list[EvidenceRecord] = []
        shown = _Shown(frame, self._config.quality)
        complete = [self._with_evidence(event, shown, pictures) for event in events]
        envelopes = [Envelope.of(event) for event in complete]
        records = [_incident_record(event) for event in complete if isinstance(event, ViolationEvent)]
        self._write(envelopes, records, pictures, stop)
        for event in complete:
            if isinstance(event, ViolationEvent):
                self._metrics.events.labels(event.label, event.phase.value, event.verdict.value).inc()

    def _write(
        self,
        envelopes: list[Envelope],
        records: list[IncidentRecord],
        pictures: list[EvidenceRecord],
        stop: Flag,
    ) -> None:
        while True:
            try:
                self._outbox.commit(envelopes, incidents=records, evidence=pictures)
            except SpoolError as error:
                if self.blocked_by is None:
                    _log.error("judging waits until the spool can be written: %s", error)
                self.blocked_by = str(error)
                if stop.wait(_RETRY_S):
                    raise
            else:
                self.blocked_by = None
                return

    def _with_evidence(self, event: Event, shown: _Shown, pictures: list[EvidenceRecord]) -> Event:
        if not isinstance(event, ViolationEvent):
            return event
        kept = self._kept.get(event.incident_id, event.evidence)
        if event.phase is not Phase.END:
            kept = (*kept, *self._keep(event, shown, pictures))
        if event.phase is Phase.END:
            self._kept.pop(event.incident_id, None)
        else:
            self._kept[event.incident_id] = kept
        return replace(event, evidence=kept)

    def _note_forbidden(self, event: ViolationEvent) -> None:
        """What must not be kept is in every picture of its room while the incident is open, whatever else is in it."""
        incident = (event.room_id, event.incident_id)
        if event.phase is Phase.END:
            self._forbidden.discard(incident)
        elif not self._policies(event.room_id).rules[event.label].store_evidence:
            self._forbidden.add(incident)

    def _keep(self, event: ViolationEvent, shown: _Shown, pictures: list[EvidenceRecord]) -> list[Evidence]:
        frame, shot = shown.frame, shown.snapshot
        if frame is None or shot is None:
            return []
        if any(room_id == event.room_id for room_id, _ in self._forbidden):
            return [withhold(shot)]
        filed = file_snapshot(
            shot,
            self._config,
            room_id=event.room_id,
            incident_id=event.incident_id,
            at=frame.moment.received_at,
        )
        pictures.append(filed.record)
        return [filed.evidence]


class _Shown:
    """The frame that events were judged on, None where there is none. Encoded once, however many events it has."""

    def __init__(self, frame: Frame | None, quality: int) -> None:
        self.frame = frame
        self._quality = quality

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The frame as JPEG; None where there is none, or it cannot be encoded."""
        if self.frame is None:
            return None
        try:
            return snapshot(self.frame.image, quality=self._quality)
        except EvidenceError as error:
            _log.warning("an event goes without its picture: %s", error)
            return None


def _incident_record(event: ViolationEvent) -> IncidentRecord:
    """An open incident is kept as its last event: enough for a successor to end it."""
    state = None if event.phase is Phase.END else msgspec.json.encode(event)
    return IncidentRecord(incident_id=event.incident_id, room_id=event.room_id, state=state)
