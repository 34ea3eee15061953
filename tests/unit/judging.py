"""Makes what a judge is fed: rooms, looks, detections, rules and policies, with defaults for what a test ignores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streammon.entities import Detection, Moment, Observation, Outcome, QrReading, Room, Source
from streammon.events import Monitor
from streammon.judge.keywords import KeywordList, KeywordMatcher
from streammon.judge.policy import Confirm, Policy, Rule, ascii_domain
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
) -> Observation:
    return Observation(
        room_id=ROOM.room_id,
        detector=detector,
        labels=frozenset(),
        outcome=outcome,
        moment=moment(at_s),
        at_s=at_s,
        detections=detections,
    )


def rule(
    review: float | None = 0.6, block: float | None = 0.9, *, confirm: str = "1 in 10s", clear_after_s: float = 5.0
) -> Rule:
    return Rule(
        review=review,
        block=block,
        confirm=Confirm.model_validate(confirm),
        clear_after_s=clear_after_s,
        severity=4,
        actions=("cut",),
        store_evidence=True,
    )


def policy(
    rules: dict[str, Rule],
    *,
    lists: Sequence[KeywordList] = (),
    allow_domains: Sequence[str] = (),
    blind_after_s: float = 60.0,
) -> Policy:
    return Policy(
        id="test",
        version="0123456789ab",
        rules=rules,
        matcher=KeywordMatcher(lists),
        qr_allow_domains=tuple(ascii_domain(domain) for domain in allow_domains),
        blind_after_s=blind_after_s,
    )


def judge(rules: dict[str, Rule], *, epoch: int = 1, blind_after_s: float = 60.0) -> RoomJudge:
    return RoomJudge(ROOM, epoch, policy(rules, blind_after_s=blind_after_s), MONITOR)


def keywords(*words: str, name: str = "contact", label: str = CONTACT) -> KeywordList:
    return KeywordList(name=name, label=label, words=words)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
