"""Makes what a judge is fed: rooms, looks, detections, rules and policies, with defaults for what a test ignores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streammon.entities import Detection, Moment, Observation, Outcome, QrReading, Room, Source
from streammon.events import AuditEvent, FeedbackAction, Monitor, ViolationEvent
from streammon.judge.contacts.finder import ContactFinder
from streammon.judge.domains import ascii_domain
from streammon.judge.feedback import Feedback
from streammon.judge.keywords import KeywordList, KeywordMatcher
from streammon.judge.policy import (
    Combination,
    Confirm,
    Escalation,
    Exemption,
    Part,
    Policy,
    Region,
    Rule,
    TextPolicy,
)
from streammon.judge.policy_file import HitsIn
from streammon.judge.room import Now, RoomJudge

AT = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
ROOM = Room(room_id="room-1", url="rtmp://127.0.0.1/live/1", tenant="acme", passthrough={"order": 7})
MONITOR = Monitor(version="0.1.0", worker="worker-1")
ADULT = "pornography.adult"
CODE = "advertising.qr_code"
CONTACT = "advertising.contact"


def now(at_s: float) -> Now:
    return Now(monotonic_s=at_s, utc=AT + timedelta(seconds=at_s))


def moment(at_s: float, session: int = 1) -> Moment:
    return Moment(session=session, pts_s=at_s, received_at=AT + timedelta(seconds=at_s))


def picture(score: float, label: str = ADULT, *, detector: str = "nsfw", subject: str | None = None) -> Detection:
    return Detection(
        detector=detector, model="model-1", source=Source.VISUAL, label=label, score=score, subject=subject
    )


def line(text: str, score: float = 0.95) -> Detection:
    return Detection(detector="ocr", model="model-2", source=Source.TEXT, score=score, text=text)


def code(payload: str, subject: str | None = None) -> Detection:
    return Detection(
        detector="qr",
        model="zxing",
        source=Source.QR,
        label=CODE,
        score=1.0,
        subject=payload if subject is None else subject,
        qr=QrReading(payload=payload),
    )


def look(
    at_s: float,
    *detections: Detection,
    detector: str = "nsfw",
    outcome: Outcome = Outcome.EXAMINED,
    labels: Sequence[str] = (),
) -> Observation:
    return Observation(
        room_id=ROOM.room_id,
        detector=detector,
        labels=frozenset(labels),
        outcome=outcome,
        moment=moment(at_s),
        at_s=at_s,
        detections=detections,
    )


def confirm_in(text: str) -> Confirm:
    spec = HitsIn.model_validate(text)
    return Confirm(hits=spec.count, within_s=spec.within)


def rule(
    review: float | None = 0.6,
    block: float | None = 0.9,
    *,
    confirm: str = "1 in 10s",
    clear_after_s: float = 5.0,
    cooldown_s: float = 0.0,
    escalation: Escalation | None = None,
    store_evidence: bool = True,
) -> Rule:
    return Rule(
        review=review,
        block=block,
        confirm=confirm_in(confirm),
        clear_after_s=clear_after_s,
        severity=4,
        actions=("cut",),
        store_evidence=store_evidence,
        cooldown_s=cooldown_s,
        escalation=escalation,
    )


def escalation(incidents: int, within_s: float = 600.0, *, to_block: bool = True, actions: str = "") -> Escalation:
    return Escalation(incidents=incidents, within_s=within_s, to_block=to_block, actions=tuple(actions.split()))


def combination(label: str, *parts: tuple[str, float]) -> Combination:
    """Each part is labels, divided by spaces, and how sure they must be."""
    made = (Part(labels=frozenset(labels.split()), at_least=at_least) for labels, at_least in parts)
    return Combination(label=label, parts=tuple(made))


def policy(
    rules: Mapping[str, Rule],
    *,
    lists: Sequence[KeywordList] = (),
    allow_domains: Sequence[str] = (),
    deny_domains: Sequence[str] = (),
    contacts: ContactFinder | None = None,
    blind_after_s: float = 60.0,
    grace_s: float = 0.0,
    text: TextPolicy = TextPolicy.FULL,
    combinations: Sequence[Combination] = (),
    regions: Sequence[Region] = (),
    exemptions: Sequence[Exemption] = (),
) -> Policy:
    return Policy(
        id="test",
        version="0123456789ab",
        rules=rules,
        matcher=KeywordMatcher(lists),
        qr_allow_domains=tuple(ascii_domain(domain) for domain in allow_domains),
        qr_deny_domains=tuple(ascii_domain(domain) for domain in deny_domains),
        contacts=contacts,
        blind_after_s=blind_after_s,
        grace_s=grace_s,
        text=text,
        combinations=tuple(combinations),
        regions=tuple(regions),
        exemptions=tuple(exemptions),
    )


def judge(rules: Mapping[str, Rule], *, epoch: int = 1, blind_after_s: float = 60.0) -> RoomJudge:
    return judge_by(policy(rules, blind_after_s=blind_after_s), epoch=epoch)


def judge_by(judging: Policy, *, epoch: int = 1, room: Room = ROOM) -> RoomJudge:
    return RoomJudge(room, epoch, judging, MONITOR)


def say(action: str, by: str = "ann", at_s: float = 0.0, **fields: Any) -> Feedback:
    whole = {"action": FeedbackAction(action), "room_id": ROOM.room_id, "by": by, "at": now(at_s).utc, **fields}
    return Feedback(**whole)


def violations(events: Sequence[ViolationEvent | AuditEvent]) -> list[ViolationEvent]:
    return [event for event in events if isinstance(event, ViolationEvent)]


def keywords(*words: str, name: str = "contact", label: str = CONTACT) -> KeywordList:
    return KeywordList(name=name, label=label, words=words)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
