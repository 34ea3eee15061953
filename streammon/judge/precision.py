"""Online precision: how many of the incidents that people gave feedback on were real. Pure: counts events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streammon.events import AuditEvent, FeedbackAction, Phase, ViolationEvent


@dataclass(slots=True, kw_only=True)
class Tally:
    """Incidents that started, those of them that people gave feedback on, and those that were false alarms."""

    starts: int = 0
    reviewed: int = 0
    false_alarms: int = 0

    @property
    def precision(self) -> float | None:
        """The share of the reviewed that were real, 0..1; None before the first feedback."""
        return None if self.reviewed == 0 else max(0.0, 1.0 - self.false_alarms / self.reviewed)


class PrecisionCounts:
    """Tallies by (label, model); a picture that several models saw counts for each. They only grow."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    @property
    def tallies(self) -> Mapping[tuple[str, str], Tally]:
        """By label and model; live, so copy what must not change."""
        return self._tallies

    def note(self, event: ViolationEvent | AuditEvent) -> None:
        """Takes an event in that a room's judge has given."""
        if isinstance(event, AuditEvent):
            self._note_feedback(event)
        elif event.phase is Phase.START:
            for model in sorted({hit.model for hit in event.hits}):
                self._tally(event.label, model).starts += 1

    def _note_feedback(self, event: AuditEvent) -> None:
        if event.action is FeedbackAction.MUTE:
            return
        for incident in event.incidents:
            for model in incident.models:
                tally = self._tally(incident.label, model)
                tally.reviewed += incident.first_feedback
                tally.false_alarms += event.action is FeedbackAction.FALSE_ALARM

    def _tally(self, label: str, model: str) -> Tally:
        return self._tallies.setdefault((label, model), Tally())
