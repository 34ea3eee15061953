"""A crash makes a process's rooms suspects, tried each by itself; who crashes again is named and left alone."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sample_streams.live_hls import LiveHls
from streammon.entities import RoomState
from streammon.fleet import ingest
from tests.integration.ingesting import CLIP, CONFIG, Fleet, alive, room, until

ROOMS = ("a", "b", "c")
QUARANTINE_S = 4.0
CRASHING = CONFIG.model_copy(update={"quarantine": QUARANTINE_S})


@pytest.fixture(autouse=True)
def _short_probation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_PROBATION_S", 1.0)


@pytest.fixture
def url() -> Iterator[str]:
    with LiveHls(CLIP, segment_s=1.0) as stream:
        yield stream.url


@pytest.fixture
def fleet(url: str) -> Iterator[Fleet]:
    """Three rooms, streaming in one process."""
    with Fleet(CRASHING) as made:
        made.start(*(room(url, room_id=room_id) for room_id in ROOMS))
        for room_id in ROOMS:
            made.ear.until_state(RoomState.STREAMING, room_id)
        yield made


def alone(fleet: Fleet, rooms: tuple[str, ...]) -> bool:
    """Whether each of these rooms has a process of its own."""
    pids = [fleet.pid_of(room_id) for room_id in rooms]
    return None not in pids and len(set(pids)) == len(rooms)


def together(fleet: Fleet, rooms: tuple[str, ...]) -> bool:
    """Whether these rooms are streaming in one process, and there is no other."""
    pids = {fleet.pid_of(room_id) for room_id in rooms}
    streaming = all(fleet.ear.states(room_id)[-1] is RoomState.STREAMING for room_id in rooms)
    return streaming and len(pids) == 1 and pids == set(fleet.supervisor.pids)


def test_a_crash_that_nobody_can_explain_has_each_room_tried_alone(fleet: Fleet) -> None:
    old = fleet.only_pid()
    os.kill(old, signal.SIGSEGV)
    until(lambda: alone(fleet, ROOMS))
    for room_id in ROOMS:
        lost = fleet.ear.of(room_id)[2]
        assert (lost.state, lost.reason) == (RoomState.BACKING_OFF, "ingest_lost")
        assert "SIGSEGV" in (lost.detail or "")
    until(lambda: together(fleet, ROOMS), 15.0)
    assert not alive(old)
    for room_id in ROOMS:
        streaming = [change for change in fleet.ear.of(room_id) if change.state is RoomState.STREAMING]
        assert [change.session for change in streaming] == [1, 2, 3]
    assert fleet.counted("streammon_ingest_restarts_total") == 1.0
    assert RoomState.QUARANTINED not in fleet.ear.states()
    assert fleet.fatal == []


def test_a_crash_in_a_room_s_thread_is_that_room_s_alone(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    old = fleet.crash("b")
    until(lambda: fleet.pid_of("b") not in {None, old})
    assert fleet.pid_of("a") == fleet.pid_of("c") != fleet.pid_of("b")
    assert [getattr(record, "room_id", None) for record in caplog.records if "is gone" in record.message] == ["b"]
    until(lambda: together(fleet, ROOMS), 15.0)
    sessions = [fleet.ear.of(room_id)[-1].session for room_id in ROOMS]
    assert sessions == [2, 3, 2], "who did nothing was not moved about"


def test_a_room_that_crashes_its_process_again_is_quarantined_named_and_tried_again_later(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.crash("b")
    fleet.ear.until_state(RoomState.STREAMING, "b", times=2)
    until(lambda: all(fleet.ear.states(room_id)[-1] is RoomState.STREAMING for room_id in "ac"))
    undisturbed = {room_id: len(fleet.ear.of(room_id)) for room_id in "ac"}
    with caplog.at_level(logging.ERROR):
        lonely = fleet.crash("b")
        fleet.ear.until_state(RoomState.QUARANTINED, "b")
    (quarantined,) = [change for change in fleet.ear.of("b") if change.state is RoomState.QUARANTINED]
    assert quarantined.reason == "crashed_again"
    assert "left alone for 4 s" in (quarantined.detail or "")
    named = [record for record in caplog.records if record.message == "room is quarantined"]
    assert [getattr(record, "room_id", None) for record in named] == ["b"]
    assert fleet.counted("streammon_quarantines_total", room="b") == 1.0
    assert not alive(lonely)
    assert fleet.pid_of("b") is None
    assert {room_id: len(fleet.ear.of(room_id)) for room_id in "ac"} == undisturbed

    began = quarantined.at
    until(lambda: fleet.ear.of("b")[-1].state is RoomState.STREAMING, QUARANTINE_S + 5.0)
    back = next(change for change in fleet.ear.of("b") if change.at > began)
    assert back.state is RoomState.CONNECTING
    assert (back.at - began).total_seconds() >= QUARANTINE_S - 0.1
    assert fleet.fatal == []


def test_a_room_that_is_removed_in_quarantine_is_stopped_and_starts_clean(fleet: Fleet, url: str) -> None:
    for times in (2, 3):
        fleet.crash("b")
        if times == 2:
            fleet.ear.until_state(RoomState.STREAMING, "b", times=times)
    fleet.ear.until_state(RoomState.QUARANTINED, "b")
    fleet.supervisor.remove("b")
    fleet.ear.until_state(RoomState.STOPPED, "b", within_s=1.0)
    fleet.supervisor.add(room(url, room_id="b"))
    fleet.ear.until_state(RoomState.STREAMING, "b", times=3)
    fleet.crash("b")
    fleet.ear.until_state(RoomState.STREAMING, "b", times=4)
    assert fleet.ear.states("b").count(RoomState.QUARANTINED) == 1


def test_a_room_that_crashes_the_process_it_is_moved_to_is_blamed_and_not_the_others(
    fleet: Fleet, url: str, tmp_path: Path
) -> None:
    slow = tmp_path / "url"
    slow.write_text(f"#!/bin/sh\nsleep 1\necho {url}\n", encoding="utf-8")
    slow.chmod(0o755)
    fleet.supervisor.add(replace(room(url, room_id="d"), url_command=(str(slow),)))
    fleet.ear.until_state(RoomState.STREAMING, "d")
    fleet.crash("d")
    place = fleet.supervisor._places.rooms["d"]
    until(lambda: place.next is not None, 15.0)  # its trial is over, and it is brought back to the others
    others = place.next
    assert others is not None
    until(lambda: "d" in {thread.room_id for thread in others.threads.values()})
    fleet.crash_in(others, "d")
    fleet.ear.until_state(RoomState.QUARANTINED, "d")
    until(lambda: together(fleet, ROOMS), 30.0)
    assert fleet.ear.states().count(RoomState.QUARANTINED) == 1
    assert fleet.fatal == []


def test_a_process_that_is_ended_from_outside_makes_nobody_a_suspect(fleet: Fleet) -> None:
    old = fleet.only_pid()
    os.kill(old, signal.SIGTERM)
    until(lambda: together(fleet, ROOMS) and fleet.only_pid() != old)
    assert len(fleet.supervisor.pids) == 1
    for room_id in ROOMS:
        assert [change.session for change in fleet.ear.of(room_id) if change.state is RoomState.STREAMING] == [1, 2]
