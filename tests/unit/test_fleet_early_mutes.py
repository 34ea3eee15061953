"""Mutes of rooms that an engine does not own yet: remembered within bounds, applied when the room is opened."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from streammon.events import AuditEvent, AuditOutcome, FeedbackAction, ViolationEvent
from streammon.fleet import early_mutes
from streammon.fleet.early_mutes import EarlyMutes
from streammon.fleet.rooms import RoomBook
from streammon.judge.feedback import Feedback
from tests.unit.colours import ADULT, AT, MONITOR, RED, metrics, now, policy, room
from tests.unit.test_fleet_rooms import seen

MUTE = Feedback(action=FeedbackAction.MUTE, room_id="r1", by="ann", at=AT, label=ADULT, seconds=600.0)


def muted(room_id: str, seconds: float) -> Feedback:
    return replace(MUTE, room_id=room_id, seconds=seconds)


def test_a_mute_is_applied_when_the_room_is_opened_and_holds(tmp_path: Path) -> None:
    book = RoomBook(MONITOR, metrics())
    assert book.apply(MUTE, now(1)) == []
    (audit,) = book.open(room(), 3, policy(tmp_path), [], now(10))
    assert isinstance(audit, AuditEvent)
    assert (audit.outcome, audit.seconds, audit.room_id) == (AuditOutcome.APPLIED, 600.0, "r1")
    assert book.observe(seen(RED, 11), now(11)) == []
    events = book.observe(seen(RED, 601), now(601))
    assert [type(event) for event in events] == [ViolationEvent], "the mute ran until 600 s after it was said"


def test_a_mute_that_ran_out_before_the_room_was_opened_is_forgotten(tmp_path: Path) -> None:
    book = RoomBook(MONITOR, metrics())
    book.apply(MUTE, now(1))
    assert book.open(room(), 3, policy(tmp_path), [], now(600)) == []


def test_only_mutes_of_labels_that_still_run_are_kept_and_each_once() -> None:
    mutes = EarlyMutes()
    of_incident = replace(MUTE, label=None, incident_id="i")
    false_alarm = replace(MUTE, action=FeedbackAction.FALSE_ALARM, seconds=None)
    over = replace(MUTE, at=AT - timedelta(hours=1))
    for feedback in (of_incident, false_alarm, over, MUTE, MUTE):
        mutes.keep(feedback, AT)
    assert mutes.take("r1", AT) == [MUTE]
    assert mutes.take("r1", AT) == []


def test_of_too_many_rooms_the_one_whose_mutes_run_out_first_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_mutes, "_MOST_ROOMS", 3)
    mutes = EarlyMutes()
    for room_id, seconds in (("long", 900.0), ("short", 60.0), ("middle", 300.0), ("new", 30.0)):
        mutes.keep(muted(room_id, seconds), AT)
    mutes.keep(muted("long", 800.0), AT)
    assert [len(mutes.take(name, AT)) for name in ("long", "short", "middle", "new")] == [2, 0, 1, 1]


def test_rooms_whose_mutes_are_over_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_mutes, "_MOST_ROOMS", 2)
    mutes = EarlyMutes()
    mutes.keep(muted("a", 10.0), AT)
    mutes.keep(muted("b", 20.0), AT)
    mutes.keep(muted("c", 900.0), AT + timedelta(seconds=30))
    assert list(mutes._rooms) == ["c"]


def test_of_too_many_mutes_of_a_room_the_first_to_run_out_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_mutes, "_MOST_OF_A_ROOM", 2)
    mutes = EarlyMutes()
    for seconds in (300.0, 60.0, 900.0):
        mutes.keep(muted("r1", seconds), AT)
    assert [mute.seconds for mute in mutes.take("r1", AT)] == [300.0, 900.0]
