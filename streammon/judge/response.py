"""Decides what feedback comes to: which incidents it is about, and what is to be done with them. Pure.

All that it changes is the notes that incidents keep of their feedback.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streammon.events import AuditedIncident, AuditOutcome, FeedbackAction
from streammon.judge.feedback import Feedback
from streammon.judge.incident import Incident, Key
from streammon.judge.report import Now
from streammon.judge.state import PastIncident
from streammon.taxonomy import load_taxonomy


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is to be done: these incidents acknowledged, these ended as false alarms, these keys muted until then."""

    outcome: AuditOutcome
    audited: tuple[AuditedIncident, ...] = ()
    acknowledged: tuple[Incident, ...] = ()
    false_alarms: tuple[Incident, ...] = ()
    mute: tuple[Key, ...] = ()
    mute_until_s: float = 0.0


def respond(feedback: Feedback, known: Iterable[Incident], past: Iterable[PastIncident], now: Now) -> Response:
    """What the feedback asks for, of the incidents that go on and of those that are over."""
    meant = [i for i in known if i.open and feedback.means(i.incident_id, i.key.label, i.key.subject)]
    over = [p for p in past if p.incident_id == feedback.incident_id]
    if feedback.action is FeedbackAction.ACKNOWLEDGE:
        return _acknowledge(feedback, meant, over)
    if feedback.action is FeedbackAction.FALSE_ALARM:
        return _false_alarm(meant, over)
    return _mute(feedback, meant, over, now)


def _acknowledge(feedback: Feedback, meant: list[Incident], over: list[PastIncident]) -> Response:
    audited = _audited(meant, over)
    news = tuple(incident for incident in meant if incident.acknowledged_by != feedback.by)
    return Response(outcome=_outcome(audited), audited=audited, acknowledged=news)


def _false_alarm(meant: list[Incident], over: list[PastIncident]) -> Response:
    news = [incident for incident in over if not incident.false_alarm]
    audited = _audited(meant, news)
    for incident in news:
        incident.false_alarm = True
    return Response(outcome=_outcome(audited), audited=audited, false_alarms=tuple(meant))


def _mute(feedback: Feedback, meant: list[Incident], over: list[PastIncident], now: Now) -> Response:
    # From when it was said, so that a topic that is read anew mutes nothing anew.
    since = max(0.0, (now.utc - feedback.at).total_seconds())
    left_s = (feedback.seconds or 0.0) - since
    if left_s <= 0:
        return Response(outcome=AuditOutcome.EXPIRED)
    incidents: list[Incident | PastIncident] = [*meant, *over]
    if feedback.label is not None:
        labels = load_taxonomy().expand(feedback.label)
        keys = tuple(Key(label=label, subject=feedback.subject) for label in labels)
    else:
        keys = tuple(incident.key for incident in incidents)
    audited = tuple(_audit(incident) for incident in incidents)
    outcome = AuditOutcome.APPLIED if keys else AuditOutcome.NO_MATCH
    return Response(outcome=outcome, audited=audited, mute=keys, mute_until_s=now.monotonic_s + left_s)


def _outcome(audited: tuple[AuditedIncident, ...]) -> AuditOutcome:
    return AuditOutcome.APPLIED if audited else AuditOutcome.NO_MATCH


def _audited(meant: list[Incident], over: list[PastIncident]) -> tuple[AuditedIncident, ...]:
    """What is said of each. From now on feedback on them is not the first."""
    incidents: list[Incident | PastIncident] = [*meant, *over]
    audited = tuple(_audit(incident) for incident in incidents)
    for incident in incidents:
        incident.has_feedback = True
    return audited


def _audit(incident: Incident | PastIncident) -> AuditedIncident:
    return AuditedIncident(
        incident_id=incident.incident_id,
        label=incident.key.label,
        subject=incident.key.subject,
        models=incident.models,
        first_feedback=not incident.has_feedback,
    )
