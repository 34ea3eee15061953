"""The ingest supervisor with real processes and a real live stream: rooms come and go, and what dies is replaced."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from sample_streams.live_hls import LiveHls
from streammon.entities import PictureState, RoomState
from streammon.fleet import ingest
from streammon.fleet.ingest import IngestSupervisor
from streammon.ingest.rooms import handle as module
from streammon.ingest.rooms.wire import RoomChanged, RoomNews
from tests.integration.ingesting import CLIP, CONFIG, Fleet, alive, room, take, until, until_dead


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet() as made:
        yield made


@pytest.fixture
def short_probation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "_PROBATION_S", 1.0)


def test_a_killed_process_is_replaced_and_the_stream_goes_on_as_the_next_session(fleet: Fleet) -> None:
    with LiveHls(CLIP, segment_s=2.0) as stream:
        fleet.start(room(stream.url))
        before = take(fleet.mailbox, 3)
        old = fleet.only_pid()
        os.kill(old, signal.SIGKILL)
        new = fleet.pid_after(old)
        fleet.ear.until_state(RoomState.STREAMING, times=2)
        after = take(fleet.mailbox, 6)
        fleet.supervisor.close()
    assert not alive(old)
    assert not alive(new)
    assert {frame.moment.session for frame in before} == {1}
    assert [frame.moment.session for frame in after][-3:] == [2, 2, 2]
    assert after[-1].moment.received_at > before[-1].moment.received_at
    assert fleet.ear.states()[:5] == [
        RoomState.CONNECTING, RoomState.STREAMING, RoomState.BACKING_OFF, RoomState.CONNECTING, RoomState.STREAMING,
    ]  # fmt: skip
    assert [change.session for change in fleet.ear.changes[:5]] == [0, 1, 1, 1, 2]
    assert fleet.ear.changes[2].reason == "ingest_lost"
    assert fleet.counted("streammon_ingest_restarts_total") == 1.0
    assert (fleet.counted("streammon_frames_sampled_total", room="r1") or 0) >= 3
    assert fleet.fatal == []


def test_a_room_s_rate_holds_whatever_process_pulls_it_and_its_cost_is_its_tenant_s(fleet: Fleet) -> None:
    with LiveHls(CLIP, segment_s=1.0) as stream:
        fleet.start(replace(room(stream.url), tenant="t1"))
        take(fleet.mailbox, 1)
        fleet.supervisor.set_interval("r1", 2.0)
        fleet.supervisor.set_interval("never there", 2.0)
        old = fleet.only_pid()
        os.kill(old, signal.SIGKILL)
        fleet.pid_after(old)
        fleet.ear.until_state(RoomState.STREAMING, times=2)
        frames = take(fleet.mailbox, 6, within_s=20.0)
    after = [frame.moment.pts_s for frame in frames if frame.moment.session == 2]
    assert len(after) >= 2
    assert [later - sooner for sooner, later in pairwise(after)] == pytest.approx([2.0] * (len(after) - 1), abs=0.2)
    until(lambda: (fleet.counted("streammon_room_pulled_bytes_total", room="r1", tenant="t1") or 0) > 10_000)
    assert (fleet.counted("streammon_room_cpu_seconds_total", room="r1", tenant="t1", part="ingest") or 0) > 0.0


def test_a_process_that_hangs_is_replaced(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_S", 2.5)
    fleet.start(room(CLIP))
    take(fleet.mailbox, 1)
    old = fleet.only_pid()
    os.kill(old, signal.SIGSTOP)
    fleet.pid_after(old, within_s=6.0)
    fleet.ear.until_state(RoomState.STREAMING, times=2)
    until_dead(old, 1.0)


def test_processes_that_die_too_often_of_nobody_knows_what_are_given_up(fleet: Fleet) -> None:
    fleet.start(room(CLIP, room_id="a"), room(CLIP, room_id="b"))
    killed: list[int] = []
    for _ in range(6):
        killed.append(fleet.pid_after(*killed))
        os.kill(killed[-1], signal.SIGTERM)
    until(lambda: len(fleet.fatal) > 0)
    assert [str(error) for error in fleet.fatal] == [
        "ingest processes died more than 5 times in 300 s; the log says of what"
    ]
    lost = [change for change in fleet.ear.changes if change.reason == "ingest_lost"]
    assert [sum(change.room_id == room_id for change in lost) for room_id in "ab"] == [6, 6]
    assert {change.detail for change in lost} == {"the process that pulled it died (SIGTERM)"}


def test_rooms_that_have_ended_are_not_watched_again(fleet: Fleet) -> None:
    fleet.start(room("/nowhere.mp4", room_id="a"), room(CLIP, room_id="b"))
    fleet.ear.until_state(RoomState.FAILED, "a")
    take(fleet.mailbox, 1)
    os.kill(fleet.only_pid(), signal.SIGKILL)
    fleet.ear.until_state(RoomState.STREAMING, "b", times=2)
    assert [change.room_id for change in fleet.ear.changes if change.reason == "ingest_lost"] == ["b"]
    assert fleet.ear.states("a") == [RoomState.CONNECTING, RoomState.FAILED]


def test_a_close_between_a_death_and_the_restart_leaves_no_process(fleet: Fleet) -> None:
    lost, closed = threading.Event(), threading.Event()

    def hold_when_lost(news: RoomNews) -> None:
        fleet.ear.news(news)
        if isinstance(news, RoomChanged) and news.reason == "ingest_lost":
            lost.set()
            closed.wait(0.5)

    supervisor = IngestSupervisor(CONFIG, fleet.mailbox, fleet.metrics, hold_when_lost, fleet.fatal.append)
    supervisor.start()
    supervisor.add(room(CLIP))
    until(lambda: len(supervisor.pids) == 1)
    pid = supervisor.pids[0]
    os.kill(pid, signal.SIGKILL)
    assert lost.wait(5.0)
    supervisor.close()
    closed.set()
    assert supervisor.pids == ()
    assert f"ingest-reader-{pid}" not in {thread.name for thread in threading.enumerate()}
    fleet.start()


def test_a_room_that_is_removed_is_stopped_and_can_be_added_again(fleet: Fleet) -> None:
    with LiveHls(CLIP, segment_s=1.0) as stream:
        fleet.start(room(stream.url, room_id="a"), room(stream.url, room_id="b"))
        for room_id in "ab":
            fleet.ear.until_state(RoomState.STREAMING, room_id)
        fleet.supervisor.remove("a")
        fleet.ear.until_state(RoomState.STOPPED, "a", within_s=2.0)
        fleet.supervisor.remove("a")
        fleet.supervisor.remove("never there")
        fleet.supervisor.add(room(stream.url, room_id="a"))
        fleet.ear.until_state(RoomState.STREAMING, "a", times=2)
        until(lambda: _frame_of(fleet, "a"), 5.0)
    assert fleet.ear.states("b") == [RoomState.CONNECTING, RoomState.STREAMING]
    assert len(fleet.supervisor.pids) == 1


def _frame_of(fleet: Fleet, room_id: str) -> bool:
    frame = fleet.mailbox.take(0.1)
    return frame is not None and frame.room_id == room_id


def test_a_room_that_is_added_again_while_it_still_leaves_is_watched(fleet: Fleet) -> None:
    with LiveHls(CLIP, segment_s=1.0) as stream:
        fleet.start(room(stream.url))
        fleet.ear.until_state(RoomState.STREAMING)
        fleet.supervisor.remove("r1")
        fleet.supervisor.add(room(stream.url))
        fleet.ear.until_state(RoomState.STREAMING, times=2)
    states = fleet.ear.states()
    assert states.count(RoomState.STOPPED) == 1
    assert states.index(RoomState.STOPPED) == 2


def test_rooms_beyond_what_a_process_may_have_get_another(short_probation: None) -> None:
    with Fleet(CONFIG.model_copy(update={"max_rooms": 2})) as fleet:
        fleet.start(*(room(CLIP, room_id=room_id) for room_id in "abc"))
        for room_id in "abc":
            fleet.ear.until_state(RoomState.STREAMING, room_id)
        assert len(fleet.supervisor.pids) == 2
        assert len({fleet.pid_of(room_id) for room_id in "abc"}) == 2


def test_a_full_process_whose_slots_are_not_read_yet_does_not_end_the_supervisor() -> None:
    config = CONFIG.model_copy(update={"max_rooms": 1, "slots_per_room": 2})
    with Fleet(config) as fleet:
        fleet.start(room(CLIP, room_id="a"))
        until(lambda: fleet.mailbox.waiting() == 2)
        fleet.supervisor.remove("a")
        fleet.ear.until_state(RoomState.STOPPED, "a")
        fleet.supervisor.add(room(CLIP, room_id="b"))
        fleet.ear.until_state(RoomState.STREAMING, "b")
        assert fleet.supervisor.alive
        assert fleet.fatal == []


def test_what_a_room_s_picture_amounts_to_is_told(fleet: Fleet) -> None:
    fleet.start(room(CLIP))
    fleet.ear.until(lambda: len(fleet.ear.pictures) == 1)
    (first,) = fleet.ear.pictures
    assert (first.room_id, first.session, first.picture) == ("r1", 1, PictureState.LIVE)
    assert (first.width, first.height, first.resized) == (1280, 720, False)


def test_a_supervisor_that_was_never_started_closes() -> None:
    with Fleet() as fleet:
        assert fleet.supervisor.pids == ()
        fleet.supervisor.close()
