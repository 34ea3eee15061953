"""Decides which pictures are taken of an incident, and which must not be kept. Engine's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from streammon.deliver.evidence import Snapshot, file_snapshot, snapshot, withhold
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.records import EvidenceRecord
from streammon.entities import Detection, Frame, Observation, Outcome
from streammon.errors import EvidenceError
from streammon.events import Evidence, Hit, Phase, ViolationEvent
from streammon.judge.interpret import interpret
from streammon.judge.policy import Policy
from streammon.judge.report import hit_of

_log = logging.getLogger(__name__)

_NOTHING_YET = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What comes of a frame: its events with their evidence, and the pictures to commit with them.

    `grown` holds the last event, with all evidence, of each open incident that got a picture but no event.
    """

    events: tuple[ViolationEvent, ...]
    grown: tuple[ViolationEvent, ...]
    pictures: tuple[EvidenceRecord, ...]


@dataclass(slots=True, kw_only=True)
class _Open:
    """An incident: its last event, all its evidence, and the score of its last picture."""

    event: ViolationEvent
    evidence: tuple[Evidence, ...]
    peak: float = _NOTHING_YET


class PictureTaker:
    """Takes a picture where an incident starts, and again where a hit's score is `config.rise` above the last one's.

    At most `config.per_incident` each, no picture twice. None is kept of a frame in which anything is seen, confirmed
    or not, of which the room's policy stores no evidence, nor while an incident of such a label is open in the room:
    it may be in every picture, whatever is seen of it.
    """

    def __init__(self, config: EvidenceConfig, policies: Callable[[str], Policy]) -> None:
        self._config = config
        self._policies = policies
        self._rooms: dict[str, dict[str, _Open]] = {}

    def take(
        self,
        events: Sequence[ViolationEvent],
        frame: Frame | None,
        seen: Sequence[Observation],
        *,
        barred: bool = False,
    ) -> Taken:
        """`seen` is all that was seen in the frame that the events were judged on; None where time alone made them.

        `barred`: the judge forbids to keep the picture, for what several detectors saw in it together, say.
        """
        for event in events:
            self._note(event)
        grown, pictures = ([], []) if frame is None else self._take(events, frame, seen, barred=barred)
        return Taken(
            events=tuple([self._finished(event) for event in events]), grown=tuple(grown), pictures=tuple(pictures)
        )

    def _note(self, event: ViolationEvent) -> None:
        room = self._rooms.setdefault(event.room_id, {})
        known = room.setdefault(event.incident_id, _Open(event=event, evidence=event.evidence))
        known.event = event

    def _take(
        self, events: Sequence[ViolationEvent], frame: Frame, seen: Sequence[Observation], *, barred: bool
    ) -> tuple[list[ViolationEvent], list[EvidenceRecord]]:
        told = {event.incident_id: event for event in events}
        going_on = [one for one in self._rooms.get(frame.room_id, {}).values() if one.event.phase is not Phase.END]
        wanting = [one for one in going_on if len(one.evidence) < self._config.per_incident]
        grown: list[ViolationEvent] = []
        pictures: list[EvidenceRecord] = []
        if not wanting:
            return grown, pictures
        policy = self._policies(frame.room_id)
        shown = _Shown(frame, seen, policy, self._config.quality)
        kept = not barred and shown.may_be_kept and all(policy.stores(one.event.label) for one in going_on)
        for one in wanting:
            event = told.get(one.event.incident_id)
            shows = replace(one.event, hits=shown.hits_of(one.event)) if event is None else event
            record = self._add_picture(one, shows, shown, kept=kept)
            pictures += record
            if record and event is None:
                grown.append(replace(one.event, evidence=one.evidence))
        return grown, pictures

    def _add_picture(self, one: _Open, shows: ViolationEvent, shown: _Shown, *, kept: bool) -> list[EvidenceRecord]:
        """The picture to commit, if any, of the hits that `shows` has: none of a score that is not high enough."""
        score = max((hit.confidence for hit in shows.hits), default=_NOTHING_YET)
        if score < one.peak + self._config.rise or score == _NOTHING_YET:
            return []
        shot = shown.snapshot
        if shot is None or any(evidence.sha256 == shot.sha256 for evidence in one.evidence):
            return []
        one.peak = score
        if not kept:
            one.evidence = (*one.evidence, withhold(shot))
            return []
        filed = file_snapshot(shot, self._config, shows, shown.frame.moment.received_at)
        one.evidence = (*one.evidence, filed.evidence)
        return [filed.record]

    def _finished(self, event: ViolationEvent) -> ViolationEvent:
        room = self._rooms[event.room_id]
        evidence = room[event.incident_id].evidence
        if event.phase is Phase.END:
            del room[event.incident_id]
        if not room:
            del self._rooms[event.room_id]
        return replace(event, evidence=evidence)


class _Shown:
    """A frame and what was seen in it. Read and encoded when first asked for, once."""

    def __init__(self, frame: Frame, seen: Sequence[Observation], policy: Policy, quality: int) -> None:
        self.frame = frame
        self._seen = [detection for look in seen if look.outcome is Outcome.EXAMINED for detection in look.detections]
        self._policy = policy
        self._quality = quality

    @property
    def may_be_kept(self) -> bool:
        """Whether the policy stores evidence of all that is seen, be it too weak to count or not confirmed yet."""
        return all(self._policy.stores(label) for label in self._labels())

    def hits_of(self, event: ViolationEvent) -> tuple[Hit, ...]:
        """What is seen of an event's incident."""
        about = (event.label, event.subject)
        return tuple(hit_of(found) for found in self._named if (found.label, found.subject) == about)

    @cached_property
    def snapshot(self) -> Snapshot | None:
        """The frame as JPEG; None where it cannot be encoded."""
        try:
            return snapshot(self.frame.image, quality=self._quality)
        except EvidenceError as error:
            _log.warning("an event goes without its picture: %s", error)
            return None

    @cached_property
    def _named(self) -> list[Detection]:
        return interpret(self._seen, self._policy)

    def _labels(self) -> Iterator[str]:
        # As the detectors say it too: what the policy overlooks, such as a label without a rule, is there all the same.
        for detection in (*self._seen, *self._named):
            if detection.label is not None:
                yield detection.label
