"""Commits what was judged: events, the incidents they leave open, and the picture that shows why. Engine's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event as Flag

import msgspec

from streammon.deliver.envelope import Envelope
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_taking import PictureTaker
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord, IncidentRecord
from streammon.entities import Frame, Observation
from streammon.errors import SpoolError
from streammon.events import Phase, ViolationEvent
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
        self._taker = PictureTaker(evidence, policies)
        self._metrics = metrics
        self.blocked_by: str | None = None

    def commit(
        self,
        events: Sequence[Event],
        frame: Frame | None,
        stop: Flag,
        seen: Sequence[Observation] = (),
        *,
        barred: bool = False,
    ) -> None:
        """Takes events in, with the frame that they were judged on, or None where time alone made them.

        `seen` is all that was seen in the frame: it says whether its picture may be kept, and whether an open incident
        wants one, so a frame without events is committed too. `barred`: the judge says that it may not be kept. Blocks
        while the spool cannot be written; raises SpoolError only where `stop` is set meanwhile.
        """
        violations = [event for event in events if isinstance(event, ViolationEvent)]
        taken = self._taker.take(violations, frame, seen, barred=barred)
        complete = iter(taken.events)
        envelopes = [Envelope.of(next(complete) if isinstance(event, ViolationEvent) else event) for event in events]
        records = [_incident_record(event) for event in (*taken.events, *taken.grown)]
        if envelopes or records:
            self._write(envelopes, records, taken.pictures, stop)
        for event in taken.events:
            self._metrics.events.labels(event.label, event.phase.value, event.verdict.value).inc()

    def _write(
        self,
        envelopes: list[Envelope],
        records: list[IncidentRecord],
        pictures: Sequence[EvidenceRecord],
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


def _incident_record(event: ViolationEvent) -> IncidentRecord:
    """An open incident is kept as its last event: enough for a successor to end it."""
    state = None if event.phase is Phase.END else msgspec.json.encode(event)
    return IncidentRecord(incident_id=event.incident_id, room_id=event.room_id, state=state)
