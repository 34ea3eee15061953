"""A process with too many hung threads is replaced in order: its rooms are pulled elsewhere before they are let go."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sample_streams.live_hls import LiveHls
from sample_streams.live_rtmp import LiveRtmp
from sample_streams.rtmp_server import rtmp_server, what_is_missing
from streammon.entities import RoomState
from streammon.fleet import ingest
from tests.integration.ingesting import CLIP, CONFIG, Fleet, alive, room, threads_of, until
from tests.needs import need

INTERVAL_S = 0.5
# Two of these are more than a busy machine's pauses.
SLOW_S = 1.0
QUICK = CONFIG.model_copy(update={"open_timeout": 0.5, "max_hung": 3})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_RECYCLE_EVERY_S", 0.0)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A file that nobody writes to: to open it hangs, in C."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def live() -> Iterator[str]:
    """A stream that opens at once, for as long as a test lasts."""
    with LiveHls(CLIP, segment_s=1.0) as stream:
        yield stream.url


@pytest.fixture
def rtmp() -> Iterator[str]:
    """One that opens at its next key frame."""
    need("nginx", what_is_missing("nginx"))
    with rtmp_server(prefer="nginx") as server, LiveRtmp(CLIP, server.rtmp_url("a"), loop=9):
        yield server.rtmp_url("a")


def test_a_healthy_room_goes_on_while_its_process_is_replaced(rtmp: str, fifo: Path) -> None:
    with Fleet(QUICK.model_copy(update={"open_timeout": 2.5})) as fleet:
        fleet.start(room(rtmp, SLOW_S, "healthy"))
        fleet.ear.until_state(RoomState.STREAMING, "healthy")
        old = fleet.only_pid()
        for number in range(QUICK.max_hung):
            fleet.supervisor.add(room(fifo, room_id=f"hung{number}"))
        received_s: list[float] = []
        sessions: list[int] = []
        give_up_s = time.monotonic() + 25.0
        while sessions.count(2) < 6:
            assert time.monotonic() < give_up_s, fleet.ear.changes
            frame = fleet.mailbox.take(0.1)
            if frame is not None:
                received_s.append(frame.received_s)
                sessions.append(frame.moment.session)
        until(lambda: not alive(old))
        assert fleet.only_pid() != old
        opened = fleet.ear.states("healthy").index(RoomState.STREAMING)  # on a busy machine not at the first try
        assert fleet.ear.states("healthy")[opened:] == [
            RoomState.STREAMING, RoomState.CONNECTING, RoomState.STREAMING,
        ]  # fmt: skip
        assert [(change.session, change.reason) for change in fleet.ear.of("healthy")[opened:]] == [
            (1, None), (1, "moved"), (2, None),
        ]  # fmt: skip
        for number in range(QUICK.max_hung):
            assert fleet.ear.of(f"hung{number}")[-1].reason == "hung"
    gaps_s = [later - before for before, later in pairwise(received_s)]
    assert max(gaps_s) <= 2 * SLOW_S, gaps_s
    assert sessions == sorted(sessions), "no picture of the old connection comes after the new one's first"
    assert fleet.counted("streammon_ingest_recycled_total") == 1.0
    assert not fleet.counted("streammon_ingest_restarts_total"), "nothing died"
    assert fleet.fatal == []


def test_a_room_that_is_removed_while_it_is_moved_is_stopped_once_and_leaves_nothing(fifo: Path, live: str) -> None:
    with Fleet(QUICK.model_copy(update={"max_hung": 1})) as fleet:
        fleet.start(room(live, INTERVAL_S, "moved"))
        fleet.ear.until_state(RoomState.STREAMING, "moved")
        old = fleet.only_pid()
        fleet.supervisor.add(room(fifo))
        new = fleet.pid_after(old)
        fleet.supervisor.remove("moved")
        fleet.ear.until_state(RoomState.STOPPED, "moved", within_s=2.0)
        until(lambda: not alive(old))
        until(lambda: fleet.supervisor.pids == (new,))
        assert fleet.ear.states("moved")[-1] is RoomState.STOPPED
        assert fleet.ear.states("moved").count(RoomState.STOPPED) == 1
        fleet.supervisor.add(room(live, INTERVAL_S, "moved"))
        until(lambda: fleet.ear.states("moved")[-1] is RoomState.STREAMING, 10.0)


def test_a_process_that_dies_while_its_rooms_are_moved_to_it_loses_none(fifo: Path, live: str) -> None:
    with Fleet(QUICK.model_copy(update={"max_hung": 1})) as fleet:
        fleet.start(room(live, INTERVAL_S, "moved"))
        fleet.ear.until_state(RoomState.STREAMING, "moved")
        old = fleet.only_pid()
        fleet.supervisor.add(room(fifo))
        new = fleet.pid_after(old)
        os.kill(new, signal.SIGKILL)
        until(lambda: not alive(old))
        until(lambda: fleet.pid_of("moved") not in {None, old, new}, 15.0)
        until(lambda: fleet.ear.of("moved")[-1].state is RoomState.STREAMING, 15.0)
    assert fleet.fatal == []


def test_a_hundred_stuck_opens_leave_no_more_threads_than_may_hang(fifo: Path) -> None:
    config = QUICK.model_copy(update={"max_hung": 50, "max_rooms": 120, "slots_per_room": 1})
    with Fleet(config) as fleet:
        fleet.start(*(room(fifo, room_id=f"r{number}") for number in range(100)))
        first = fleet.only_pid()
        fleet.ear.until(lambda: fleet.ear.states().count(RoomState.FAILED) == 100, 35.0)
        assert {change.reason for change in fleet.ear.changes if change.state is RoomState.FAILED} == {"hung"}
        until(lambda: len(fleet.supervisor.pids) == 1)
        until(lambda: not alive(first))
        until(lambda: sum(threads_of(pid) for pid in fleet.supervisor.pids) <= 1 + config.max_hung)
        fleet.until_counted(1.0, "streammon_ingest_recycled_total")
    assert fleet.fatal == []


def test_a_room_that_its_new_process_cannot_open_is_not_let_go_at_once(live: str, fifo: Path, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    script = tmp_path / "url"
    script.write_text(f'#!/bin/sh\necho >> {tried}\n[ "$(wc -l < {tried})" = 2 ] && exit 1\necho {live}\n')
    script.chmod(0o755)
    moved = replace(room(live, INTERVAL_S, "moved"), url_command=(str(script),))
    with Fleet(QUICK.model_copy(update={"max_hung": 1, "open_timeout": 1.0})) as fleet:
        fleet.start(moved)
        fleet.ear.until_state(RoomState.STREAMING, "moved")
        fleet.supervisor.add(room(fifo))
        fleet.ear.until_state(RoomState.STREAMING, "moved", times=2)
        assert len(tried.read_text().splitlines()) == 3
    assert fleet.ear.states("moved")[:4] == [
        RoomState.CONNECTING, RoomState.STREAMING, RoomState.CONNECTING, RoomState.STREAMING,
    ], "its new process failed once and then opened it, and the old one pulled it meanwhile"  # fmt: skip
