"""Judges one room: sorts looks into incidents, and starts, raises and ends them. Pure: clocks come with the calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Self

from streammon.entities import Observation, Outcome, Room
from streammon.events import AuditEvent, EndReason, Monitor, Verdict, ViolationEvent
from streammon.judge.combine import Picture, Reading
from streammon.judge.feedback import Feedback
from streammon.judge.incident import MAX_HITS, Incident, Key, Look
from streammon.judge.interpret import interpret, redacted
from streammon.judge.policy import Policy, above
from streammon.judge.report import Now, Reporter
from streammon.judge.response import respond
from streammon.judge.restraint import Restraints
from streammon.judge.state import JudgeState, LostIncident, PastIncident

__all__ = ["Now", "RoomJudge"]

# More subjects than this of one label at a time (codes, say) share one incident without a subject.
_MAX_SUBJECTS = 32
# An incident that starts again this soon after its owner was lost goes on from the old one.
_CONTINUES_WITHIN_S = 60.0
# So many incidents that are over can still be told to have been false alarms.
_MAX_PAST = 64


class RoomJudge:
    """One room under one owner. `seq` of its events begins at 1, or after those of a lost owner's open incidents."""

    def __init__(self, room: Room, epoch: int, policy: Policy, monitor: Monitor) -> None:
        self._room = room
        self._policy = policy
        self._judged = policy.judged_in(room)
        self._reporter = Reporter(room, epoch, monitor)
        self._incidents: dict[Key, Incident] = {}
        self._restraints = Restraints()
        self._picture = Picture()
        self._lost: dict[Key, str] = {}
        self._past: dict[str, PastIncident] = {}
        self._opened_s = 0.0
        self._over_s: float | None = None
        self._closed = False

    @property
    def withholds(self) -> bool:
        """Whether the picture that was last observed must not be kept, whatever else is in it.

        It must not while anything is going on, told or not yet, of which the policy forbids to keep pictures.
        """
        rules = self._policy.rules
        return self._picture.barred or any(not rules[key.label].store_evidence for key in self._incidents)

    @property
    def policy(self) -> Policy:
        """What is judged by now."""
        return self._policy

    @property
    def doubtful(self) -> bool:
        """Whether something was seen in the pictures that is neither confirmed nor gone yet."""
        return any(i.pictured and not i.open and not i.dismissed for i in self._incidents.values())

    @property
    def busy(self) -> bool:
        """Whether something goes on in the pictures, told or not yet."""
        return any(incident.pictured for incident in self._incidents.values())

    def set_interval(self, interval_s: float) -> None:
        """The room is sampled every `interval_s` seconds from now on: what its events tell."""
        self._reporter.interval_s = interval_s

    @property
    def combining(self) -> bool:
        """Whether the picture that was last observed shows a part of what the policy means by a combination."""
        return self._picture.shows_part(self._policy.combinations)

    @property
    def idle(self) -> bool:
        """Whether nothing goes on, so that time alone changes nothing."""
        return not self._incidents

    def end_lost(self, lost: Iterable[ViolationEvent], now: Now) -> list[ViolationEvent]:
        """Ends what a dead owner left open. `lost` holds the last event of each of its incidents."""
        self._opened_s = now.monotonic_s
        left_open = list(lost)
        # An event's id is its incident's id and seq, and these incidents have had events: no id may come twice.
        self._reporter.seq = max((event.seq for event in left_open), default=0)
        self._lost = {Key(label=event.label, subject=event.subject): event.incident_id for event in left_open}
        return [self._reporter.lost(event, now) for event in left_open]

    def observe_frame(self, observations: Iterable[Observation], now: Now) -> list[ViolationEvent]:
        """Takes in what several detectors saw in one frame. However they are cut into calls, the events are the same.

        A frame's observations come before those of the next frame.
        Only after the frame's last one does `withholds` tell whether its picture may be kept.
        """
        return [event for observation in observations for event in self.observe(observation, now)]

    def observe(self, observation: Observation, now: Now) -> list[ViolationEvent]:
        """Takes in one detector's look at one frame. A frame that was not examined says nothing.

        Nor does one that comes after `close`: what it began nobody would end.
        """
        if self._closed or observation.outcome is not Outcome.EXAMINED:
            return []
        looks = self._looks(observation)
        if not observation.of_frame:
            return self._hits(observation, looks, now)
        self._over_s = None
        return self._hits(observation, looks, now) + self._misses(observation, looks, now)

    def tick(self, now: Now) -> list[ViolationEvent]:
        """Ends the incidents that nobody has been able to look at for too long, or whose stream does not come back."""
        self._restraints.forget(now.monotonic_s)
        if now.monotonic_s - self._opened_s > _CONTINUES_WITHIN_S:
            self._lost.clear()
        if self._over_s is not None:
            waits = now.monotonic_s - self._over_s < self._policy.grace_s
            return [] if waits else self.end_all(EndReason.ROOM_ENDED, now)
        rules, at_s = self._policy.rules, now.monotonic_s
        unsaid = [i for i in self._incidents.values() if i.quiet(at_s, rules[i.key.label])]
        gone = [i for i in self._incidents.values() if i.blind(at_s, self._policy.blind_after_s)]
        return self._end(unsaid, EndReason.CLEARED, at_s, now) + self._end(gone, EndReason.BLIND, at_s, now)

    def stream_over(self, now: Now) -> list[ViolationEvent]:
        """The stream is over, for now: ends everything, but waits for the policy's grace time, if there is one.

        The next frame that is examined says that the stream is back. A second call changes nothing.
        """
        if self._policy.grace_s == 0:
            return self.end_all(EndReason.ROOM_ENDED, now)
        if self._over_s is None:
            self._over_s = now.monotonic_s
        return []

    def close(self, reason: EndReason, now: Now) -> list[ViolationEvent]:
        """Ends everything: the room is no longer watched. May be called twice."""
        self._closed = True
        return self.end_all(reason, now)

    def end_all(self, reason: EndReason, now: Now) -> list[ViolationEvent]:
        """Ends what is open, at once."""
        self._over_s = None
        return self._end(list(self._incidents.values()), reason, now.monotonic_s, now)

    def set_policy(self, policy: Policy, now: Now) -> list[ViolationEvent]:
        """From now on this policy holds. Open incidents go on under its rules; those that it does not report end."""
        self._incidents = {i.key: i for i in (_redacted(i, policy) for i in self._incidents.values())}
        judged = policy.judged_in(self._room)
        gone = [incident for key, incident in self._incidents.items() if key.label not in judged]
        events = self._end(gone, EndReason.POLICY_CHANGED, now.monotonic_s, now)
        self._policy, self._judged = policy, judged
        return events

    def apply(self, feedback: Feedback, now: Now) -> list[ViolationEvent | AuditEvent]:
        """What somebody says of the room: an audit event, then what it leads to. Twice the same is once.

        Raises ValueError where it is about another room.
        """
        if feedback.room_id != self._room.room_id:
            raise ValueError("feedback about another room")
        response = respond(feedback, self._incidents.values(), self._past.values(), now)
        events: list[ViolationEvent | AuditEvent] = [
            self._reporter.audit(feedback, response.outcome, response.audited, now)
        ]
        for incident in response.acknowledged:
            incident.acknowledged_by = feedback.by
            events.append(self._reporter.update(incident, incident.verdict, self._policy, now))
        events += self._end(response.false_alarms, EndReason.FALSE_ALARM, now.monotonic_s, now)
        for incident in response.false_alarms:
            incident.dismiss()
            self._incidents[incident.key] = incident
        for key in response.mute:
            self._restraints.mute(key, response.mute_until_s)
        muted = [i for i in self._incidents.values() if self._restraints.muted(i.key, now.monotonic_s)]
        return [*events, *self._end(muted, EndReason.MUTED, now.monotonic_s, now)]

    def state(self, now: Now) -> JudgeState:
        """All that is known, for `resume`. Shares nothing with this judge."""
        by_s = -now.monotonic_s
        labels = {key.label for key, incident in self._incidents.items() if incident.open}
        return JudgeState(
            taken_at=now.utc,
            policy_id=self._policy.id,
            policy_version=self._policy.version,
            rules={label: self._policy.rules[label] for label in sorted(labels)},
            seq=self._reporter.seq,
            opened_s=self._opened_s + by_s,
            over_s=None if self._over_s is None else self._over_s + by_s,
            closed=self._closed,
            incidents=tuple(incident.shifted(by_s) for incident in self._incidents.values()),
            lost=tuple(LostIncident(key=key, incident_id=lost) for key, lost in self._lost.items()),
            past=tuple(replace(past) for past in self._past.values()),
            restraints=self._restraints.state().shifted(by_s),
            picture=replace(self._picture, strongest=dict(self._picture.strongest)),
        )

    @classmethod
    def resume(
        cls, state: JudgeState, room: Room, epoch: int, policy: Policy, monitor: Monitor, now: Now
    ) -> tuple[Self, list[ViolationEvent]]:
        """A judge that goes on from where another was, and the ends of what `policy` does not report of the room."""
        by_s = now.monotonic_s - max(0.0, (now.utc - state.taken_at).total_seconds())
        known = replace(policy, id=state.policy_id, version=state.policy_version, rules={**policy.rules, **state.rules})
        judge = cls(room, epoch, known, monitor)
        judge._reporter.seq = state.seq
        judge._incidents = {incident.key: incident.shifted(by_s) for incident in state.incidents}
        judge._restraints = Restraints(state.restraints.shifted(by_s))
        judge._picture = replace(state.picture, strongest=dict(state.picture.strongest))
        judge._lost = {lost.key: lost.incident_id for lost in state.lost}
        judge._past = {past.incident_id: replace(past) for past in state.past}
        judge._opened_s = state.opened_s + by_s
        judge._over_s = None if state.over_s is None else state.over_s + by_s
        judge._closed = state.closed
        return judge, judge.set_policy(policy, now)

    def _looks(self, observation: Observation) -> dict[Key, Look]:
        """What the observation shows, as far as it is reported of the room."""
        policy, looks = self._policy, dict[Key, Look]()
        found = interpret(observation.detections, policy)
        # No combination is made of a picture and what somebody wrote meanwhile.
        picture = self._picture if observation.of_frame else Picture()
        combinations = policy.combinations if observation.of_frame else ()
        for reading in picture.readings(observation.moment, found, combinations):
            rule = policy.rules.get(reading.label)
            if rule is None or rule.verdict(reading.score) is Verdict.PASS:
                continue
            picture.barred |= not rule.store_evidence
            key = Key(label=reading.label, subject=reading.subject)
            if reading.label in self._judged and not self._restraints.muted(key, observation.at_s):
                key = self._capped(key, looks)
                looks[key] = _look(observation, reading, looks.get(key))
        return looks

    def _capped(self, key: Key, found: Iterable[Key]) -> Key:
        known = {*self._incidents, *found}
        if key in known or sum(other.label == key.label for other in known) < _MAX_SUBJECTS:
            return key
        return replace(key, subject=None)

    def _hits(self, observation: Observation, looks: Mapping[Key, Look], now: Now) -> list[ViolationEvent]:
        events = []
        for key, look in looks.items():
            incident = self._incidents.setdefault(key, Incident(key=key))
            incident.hit(observation.detector, look, self._policy.rules[key.label])
            events += self._raise(incident, look.at_s, now)
        return events

    def _raise(self, incident: Incident, at_s: float, now: Now) -> list[ViolationEvent]:
        """What a hit leads to: a start, an update where the verdict has risen, mostly nothing."""
        verdict, previous = incident.confirmed(self._policy.rules[incident.key.label]), incident.verdict
        if incident.dismissed or not above(verdict, previous):
            return []
        if incident.open:
            incident.verdict = verdict
            return [self._reporter.update(incident, previous, self._policy, now)]
        if self._restraints.cooling(incident.key, verdict, at_s):
            return []
        self._start(incident, verdict, at_s)
        return [self._reporter.start(incident, self._policy, now)]

    def _start(self, incident: Incident, verdict: Verdict, at_s: float) -> None:
        key = incident.key
        escalation = self._policy.rules[key.label].escalation
        if escalation is not None and self._restraints.escalates(key.label, escalation, at_s):
            verdict = Verdict.BLOCK if escalation.to_block else verdict
            incident.escalated, incident.added_actions = True, escalation.actions
        incident.start(verdict)
        incident.incident_id = self._reporter.name(key, incident.recent[0].moment, self._past)
        lost = self._lost.pop(key, None)
        incident.continues = lost if at_s - self._opened_s <= _CONTINUES_WITHIN_S else None

    def _misses(self, observation: Observation, looks: Mapping[Key, Look], now: Now) -> list[ViolationEvent]:
        gone = [
            incident
            for key, incident in self._incidents.items()
            if key not in looks and self._missed(incident, observation)
        ]
        return self._end(gone, EndReason.CLEARED, observation.at_s, now)

    def _missed(self, incident: Incident, observation: Observation) -> bool:
        """Whether the look ends the incident. It bears on it where the detector can see, or has seen, such a thing."""
        label, detector = incident.key.label, observation.detector
        if label not in observation.labels and detector not in incident.detectors:
            return False
        return incident.miss(detector, observation.at_s, observation.moment, self._policy.rules[label])

    def _end(self, gone: Sequence[Incident], reason: EndReason, at_s: float, now: Now) -> list[ViolationEvent]:
        for incident in gone:
            del self._incidents[incident.key]
        told = [incident for incident in gone if incident.open]
        for incident in told:
            self._remember(incident, reason)
            cooldown_s = self._policy.rules[incident.key.label].cooldown_s
            if cooldown_s > 0:
                self._restraints.cool(incident.key, incident.verdict, at_s + cooldown_s)
        return [self._reporter.end(incident, reason, self._policy, now) for incident in told]

    def _remember(self, incident: Incident, reason: EndReason) -> None:
        self._past[incident.incident_id] = PastIncident(
            key=incident.key,
            incident_id=incident.incident_id,
            models=incident.models,
            has_feedback=incident.has_feedback,
            false_alarm=reason is EndReason.FALSE_ALARM,
        )
        if len(self._past) > _MAX_PAST:
            del self._past[next(iter(self._past))]


def _look(observation: Observation, reading: Reading, other: Look | None) -> Look:
    """The observation's look at what was read, with what else of it was read in the same picture."""
    score, hits = reading.score, reading.hits
    if other is not None:
        score, hits = max(score, other.score), (*other.hits, *hits)
    return Look(
        at_s=observation.at_s,
        moment=observation.moment,
        score=score,
        hits=hits[:MAX_HITS],
        of_frame=observation.of_frame,
    )


def _redacted(incident: Incident, policy: Policy) -> Incident:
    """The incident with as much of what was read as the policy allows."""
    hits = tuple(redacted(hit, policy.text) for hit in incident.hits)
    of_code = incident.key.subject is not None and incident.key.subject == incident.hits[0].subject
    key = replace(incident.key, subject=hits[0].subject) if of_code else incident.key
    return replace(incident, key=key, hits=hits)
