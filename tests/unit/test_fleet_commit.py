"""Judged means committed: events, what they leave open and their picture go in together, or wait, or are withheld."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.outbox import Outbox
from streammon.entities import Frame, RoomState
from streammon.errors import SpoolError
from streammon.events import EndReason, EvidenceStatus, Phase, StreamEvent, Verdict, ViolationEvent
from streammon.fleet import commit as module
from streammon.fleet.commit import Committer, lost_incidents
from streammon.fleet.rooms import RoomBook
from streammon.judge.policy import Confirm, Policy
from streammon.judge.policy_load import load_policy
from tests.unit.colours import (
    ADULT,
    BLACK,
    BLUE,
    CHILD,
    GORE,
    MAGENTA,
    MONITOR,
    POLICY,
    RED,
    Colour,
    change,
    committed,
    frame,
    looked,
    metrics,
    now,
    policy,
    room,
    value,
    violations,
)
from tests.unit.judging import line

RUNNING = threading.Event()
DIM_RED = (140, 0, 0)


class Owner:
    """One owner of room r1: judge, outbox and committer, on a clock of its own."""

    def __init__(self, folder: Path, rules: Policy, epoch: int = 1, **evidence: float) -> None:
        config = EvidenceConfig.model_validate({"store": str(folder / "evidence"), **evidence})
        self.outbox = Outbox(folder / "spool.sqlite")
        self.outbox.register_sinks(["memory"])
        self.metrics = metrics()
        self.committer = Committer(self.outbox, config, lambda _: rules, self.metrics)
        self.book = RoomBook(MONITOR, self.metrics)
        lost = lost_incidents(self.outbox)
        self.committer.commit(self.book.open(room(), epoch, rules, lost, now(0)), None, RUNNING)

    def show(self, colour: Colour, at_s: float, stop: threading.Event = RUNNING) -> Frame:
        shown = frame(colour, at_s)
        seen = looked(shown)
        self.committer.commit(self.book.observe(seen, now(at_s)), shown, stop, seen)
        return shown


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    return policy(tmp_path)


@pytest.fixture
def owner(tmp_path: Path, rules: Policy) -> Iterator[Owner]:
    opened = Owner(tmp_path, rules)
    yield opened
    opened.outbox.close()


def break_spool(outbox: Outbox, broken: bool) -> None:
    """Has SQLite itself refuse to write, as on a disk that went read-only."""
    with outbox._shared.reading() as db:
        db.execute(f"PRAGMA query_only = {int(broken)}")


def test_an_event_is_committed_with_its_picture_and_its_incident(owner: Owner) -> None:
    shown = owner.show(RED, 1)

    (event,) = violations(owner.outbox)
    (record,) = owner.outbox.pending_evidence(10)
    (incident,) = owner.outbox.open_incidents()
    (evidence,) = event.evidence
    assert (event.label, event.phase, event.verdict) == (ADULT, Phase.START, Verdict.BLOCK)
    assert (evidence.status, evidence.width, evidence.height) == (EvidenceStatus.PENDING, 160, 90)
    assert evidence.sha256 == record.sha256 == hashlib.sha256(record.jpeg).hexdigest()
    decoded = cv2.imdecode(np.frombuffer(record.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert np.abs(decoded.astype(int) - shown.image.astype(int)).max() < 20
    assert incident.state is not None
    assert msgspec.json.decode(incident.state, type=ViolationEvent) == event
    assert value(owner.metrics, "streammon_events_total", label=ADULT, phase="start", verdict="block") == 1.0


def test_each_step_of_an_incident_keeps_the_pictures_of_the_steps_before(owner: Owner) -> None:
    for colour, at_s in [(DIM_RED, 1), (RED, 2), (BLACK, 4)]:
        owner.show(colour, at_s)
    start, update, end = violations(owner.outbox)
    assert [event.phase for event in (start, update, end)] == [Phase.START, Phase.UPDATE, Phase.END]
    assert len(start.evidence) == 1
    assert len(update.evidence) == 2
    assert update.evidence[0] == start.evidence[0]
    assert end.evidence == update.evidence
    assert len(owner.outbox.pending_evidence(10)) == 2
    assert owner.outbox.open_incidents() == []


def scores(owner: Owner) -> list[float]:
    """The redness, 0..1, of each picture that waits, to one place."""
    pictures = [
        cv2.imdecode(np.frombuffer(one.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        for one in owner.outbox.pending_evidence(99)
    ]
    return [round(float(shown[:, :, 0].mean()) / 255, 1) for shown in pictures if shown is not None]


def red(score: float) -> Colour:
    return (round(score * 255), 0, 0)


def test_a_picture_is_taken_at_the_start_and_where_the_score_has_risen(owner: Owner) -> None:
    for at_s, score in enumerate([0.6, 0.65, 0.6, 0.8, 0.7, 0.85, 1.0, 1.0], start=1):
        owner.show(red(score), at_s / 10)
    owner.show(BLACK, 9)
    *_, end = violations(owner.outbox)

    assert scores(owner) == [0.6, 0.8, 1.0]
    assert [evidence.sha256 for evidence in end.evidence] == [one.sha256 for one in owner.outbox.pending_evidence(9)]


def test_a_picture_between_events_is_not_forgotten_by_a_successor(owner: Owner, tmp_path: Path, rules: Policy) -> None:
    owner.show(red(0.6), 1)
    owner.show(red(0.8), 2)
    assert len(violations(owner.outbox)) == 1
    owner.outbox.close()
    successor = Owner(tmp_path, rules, epoch=2)

    assert len(violations(successor.outbox)[-1].evidence) == 2
    successor.outbox.close()


def test_an_incident_has_so_many_pictures_and_no_more(tmp_path: Path, rules: Policy) -> None:
    owner = Owner(tmp_path, rules, per_incident=2, rise=0.0)
    for number in range(9):
        owner.show(red(0.55 + number / 20), 1 + number / 10)

    assert scores(owner) == [0.5, 0.6]  # 0.55 and 0.6, rounded
    owner.outbox.close()


def test_no_pictures_may_be_asked_for(tmp_path: Path, rules: Policy) -> None:
    owner = Owner(tmp_path, rules, per_incident=0)
    owner.show(RED, 1)

    assert violations(owner.outbox)[0].evidence == ()
    owner.outbox.close()


def test_the_same_picture_is_kept_once(tmp_path: Path, rules: Policy) -> None:
    owner = Owner(tmp_path, rules, rise=0.0)
    for at_s in (1, 2, 3):
        owner.show(RED, at_s)

    assert owner.outbox.evidence_depth() == 1
    owner.outbox.close()


def test_an_incident_without_events_wants_no_frame_encoded(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    owner.show(RED, 1)
    encoded: list[int] = []
    monkeypatch.setattr("streammon.deliver.evidence_taking.snapshot", lambda *_, **__: encoded.append(1))
    for at_s in (1.2, 1.4, 1.6):
        owner.show(RED, at_s)
        owner.show(BLACK, at_s + 0.1)

    assert encoded == []


def test_nothing_judged_is_nothing_committed(owner: Owner) -> None:
    version = owner.outbox.version
    owner.show(BLACK, 1)
    assert owner.outbox.version == version


def test_a_state_event_needs_no_picture(owner: Owner) -> None:
    owner.committer.commit(owner.book.change(change(RoomState.CONNECTING), now(1)), frame(RED, 1), RUNNING)
    (event,) = committed(owner.outbox)
    assert isinstance(event, StreamEvent)
    assert owner.outbox.evidence_depth() == 0


def test_what_must_never_be_stored_is_a_hash_only(owner: Owner) -> None:
    owner.show(BLUE, 1)
    (event,) = violations(owner.outbox)
    (evidence,) = event.evidence
    assert event.label == CHILD
    assert (evidence.status, evidence.url) == (EvidenceStatus.WITHHELD, None)
    assert len(evidence.sha256) == 64
    assert owner.outbox.evidence_depth() == 0


def test_another_label_s_event_does_not_store_the_same_picture(owner: Owner) -> None:
    owner.show(MAGENTA, 1)
    by_label = {event.label: event.evidence[0].status for event in violations(owner.outbox)}
    assert by_label == {ADULT: EvidenceStatus.WITHHELD, CHILD: EvidenceStatus.WITHHELD}
    assert owner.outbox.evidence_depth() == 0


def test_nor_does_it_while_the_incident_that_forbids_it_goes_on(owner: Owner) -> None:
    owner.show(BLUE, 1)
    owner.show(RED, 1.5)
    assert [event.evidence[0].status for event in violations(owner.outbox)] == [EvidenceStatus.WITHHELD] * 2
    owner.show(BLACK, 4)
    owner.show(RED, 5)
    assert violations(owner.outbox)[-1].evidence[0].status is EvidenceStatus.PENDING
    assert owner.outbox.evidence_depth() == 1


FAINT_BLUE = 140
"""More than the detector's least, less than the policy's thresholds below."""


def test_what_is_seen_below_any_threshold_withholds_the_picture_too(tmp_path: Path, rules: Policy) -> None:
    strict = replace(rules, rules={**rules.rules, CHILD: replace(rules.rules[CHILD], review=0.9)})
    owner = Owner(tmp_path, strict)
    owner.show((240, 0, FAINT_BLUE), 1)
    (event,) = violations(owner.outbox)

    assert event.label == ADULT
    assert [evidence.status for evidence in event.evidence] == [EvidenceStatus.WITHHELD]
    assert owner.outbox.evidence_depth() == 0
    owner.outbox.close()


def test_so_does_what_is_not_confirmed_yet_and_what_has_no_rule(tmp_path: Path, rules: Policy) -> None:
    slow = replace(rules.rules[CHILD], confirm=Confirm(hits=9, within_s=10.0))
    without = {label: rule for label, rule in rules.rules.items() if label != CHILD}
    for number, labels in enumerate([{**rules.rules, CHILD: slow}, without]):
        folder = tmp_path / str(number)
        folder.mkdir()
        owner = Owner(folder, replace(rules, rules=labels))
        owner.show(MAGENTA, 1)
        assert [evidence.status for event in violations(owner.outbox) for evidence in event.evidence] == [
            EvidenceStatus.WITHHELD
        ]
        assert owner.outbox.evidence_depth() == 0
        owner.outbox.close()


WORDS = """
keywords:
  - {file: words.txt, label: advertising.contact}
"""


@pytest.mark.parametrize(("text", "status"), [("add vx 123", "withheld"), ("hello", "pending")])
def test_a_word_whose_label_is_not_stored_withholds_the_picture(tmp_path: Path, text: str, status: str) -> None:
    """A line of text has no label of its own: what it means the policy says."""
    (tmp_path / "words.txt").write_text("vx\n", encoding="utf-8")
    labels = f"  {GORE}: {{review: 0.5}}\n"
    written = POLICY.replace(labels, labels + "  advertising.contact: {review: 0.99, store_evidence: false}\n") + WORDS
    (tmp_path / "policy.yaml").write_text(written, encoding="utf-8")
    owner = Owner(tmp_path, load_policy(tmp_path / "policy.yaml"))
    shown = frame(RED, 1)
    (seen,) = looked(shown)
    read = replace(seen, detector="ocr", detections=(line(text),))
    owner.committer.commit(owner.book.observe([seen, read], now(1)), shown, RUNNING, [seen, read])

    assert [event.evidence[0].status for event in violations(owner.outbox)] == [status]
    owner.outbox.close()


def test_a_policy_may_ask_to_store_them_by_name_and_may_forbid_any_other(tmp_path: Path) -> None:
    allowing = policy(tmp_path).rules
    changed = {
        CHILD: replace(allowing[CHILD], store_evidence=True),
        ADULT: replace(allowing[ADULT], store_evidence=False),
    }
    owner = Owner(tmp_path, replace(policy(tmp_path), rules=changed))
    owner.show(BLUE, 1)
    owner.show(RED, 2)
    statuses = {event.label: event.evidence[0].status for event in violations(owner.outbox)}
    assert statuses == {CHILD: EvidenceStatus.PENDING, ADULT: EvidenceStatus.WITHHELD}
    owner.outbox.close()


def test_a_picture_that_cannot_be_encoded_costs_the_event_nothing_else(
    owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    shown = frame(RED, 1)
    events = owner.book.observe(looked(shown), now(1))
    owner.committer.commit(events, replace(shown, image=np.zeros((0, 0, 3), np.uint8)), RUNNING)
    assert [event.evidence for event in violations(owner.outbox)] == [()]
    assert "goes without its picture" in caplog.text


def test_a_spool_that_fails_and_recovers_loses_nothing(
    owner: Owner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    break_spool(owner.outbox, True)
    engine = threading.Thread(target=lambda: [owner.show(RED, 1), owner.show(BLACK, 3)])
    with caplog.at_level(logging.ERROR):
        engine.start()
        engine.join(0.1)
        assert engine.is_alive()
        assert violations(owner.outbox) == []
        break_spool(owner.outbox, False)
        engine.join(2.0)
    assert not engine.is_alive()
    assert [event.phase for event in violations(owner.outbox)] == [Phase.START, Phase.END]
    assert len(owner.outbox.pending_evidence(10)) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"], "it is said once, not at every try"


def test_a_stop_while_the_spool_fails_is_an_error_not_a_hang(owner: Owner) -> None:
    stop = threading.Event()
    stop.set()
    break_spool(owner.outbox, True)
    with pytest.raises(SpoolError):
        owner.show(RED, 1, stop)
    break_spool(owner.outbox, False)


def test_a_successor_ends_what_a_dead_owner_left_open(tmp_path: Path, rules: Policy) -> None:
    dead = Owner(tmp_path, rules)
    dead.show(RED, 1)
    dead.show(BLUE, 1.5)
    left = violations(dead.outbox)
    dead.outbox.close()

    successor = Owner(tmp_path, rules, epoch=2)
    ended = violations(successor.outbox)[len(left) :]
    assert [(event.label, event.phase, event.end_reason) for event in ended] == [
        (ADULT, Phase.END, EndReason.WORKER_LOST),
        (CHILD, Phase.END, EndReason.WORKER_LOST),
    ]
    assert [event.incident_id for event in ended] == [event.incident_id for event in left]
    assert [event.evidence for event in ended] == [event.evidence for event in left]
    assert {event.owner_epoch for event in ended} == {2}
    assert len({event.event_id for event in [*left, *ended]}) == 4
    assert successor.outbox.open_incidents() == []

    successor.show(RED, 3)
    started = violations(successor.outbox)[-1]
    assert (started.phase, started.continues) == (Phase.START, left[0].incident_id)
    assert started.evidence[0].status is EvidenceStatus.PENDING, "a lost incident forbids nothing any more"
    successor.outbox.close()
