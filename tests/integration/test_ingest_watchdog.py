"""No thread that hangs holds a room, a stop or the process: it is given up, counted, and silent when it comes back."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from sample_streams.live_rtmp import LiveRtmp
from sample_streams.rtmp_server import rtmp_server, what_is_missing
from streammon.entities import RoomState
from streammon.ingest.rooms.handle import IngestHandle
from streammon.ingest.rooms.mailbox import Mailbox
from tests.integration.ingesting import CLIP, CONFIG, Ear, process, room, take, threads_of, until
from tests.integration.test_http_tls import Authority
from tests.needs import need

# A call that hangs: opening a FIFO that nobody writes to.
HUNG_AFTER_S = 0.5 + 2.0 + 2.0
QUICK = CONFIG.model_copy(update={"open_timeout": 0.5})


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def given_up(ear: Ear) -> tuple[int, int]:
    """Threads that hang, and all that were given up, by the last word of the process."""
    return (ear.processes[-1].hung, ear.processes[-1].given_up) if ear.processes else (0, 0)


def let_go(fifo: Path, handle: IngestHandle, threads: int) -> None:
    """Feeds whoever hangs in opening the file, until the process has so few threads."""

    def fed() -> bool:
        if threads_of(handle.pid) > threads:
            try:
                writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody opens it just now
                return False
            os.write(writer, CLIP.read_bytes()[:4096])
            os.close(writer)
        return threads_of(handle.pid) <= threads

    until(fed, 10.0)


def test_a_file_that_cannot_be_opened_fails_as_hung_and_its_thread_says_nothing_more(
    ear: Ear, mailbox: Mailbox, fifo: Path
) -> None:
    with process(ear, mailbox, QUICK) as handle:
        handle.add_room(room(CLIP, room_id="healthy"), session_base=0)
        take(mailbox, 2)  # those of FFmpeg that open a stream are gone then
        at_rest = threads_of(handle.pid)
        began_s = time.monotonic()
        handle.add_room(room(fifo), session_base=0)
        ear.until_state(RoomState.FAILED)
        assert HUNG_AFTER_S - 0.2 < time.monotonic() - began_s < HUNG_AFTER_S + 2.0
        assert ear.of("r1")[-1].reason == "hung"
        ear.until(lambda: given_up(ear) == (1, 1), 3.0)
        assert threads_of(handle.pid) == at_rest + 1

        let_go(fifo, handle, at_rest)
        ear.until(lambda: given_up(ear) == (0, 0), 3.0)
        frames = take(mailbox, 3)
        assert {frame.room_id for frame in frames} == {"healthy"}
    assert ear.states("r1") == [RoomState.CONNECTING, RoomState.FAILED]
    assert {stats.room_id for stats in ear.stats if stats.packets} == {"healthy"}
    assert ear.states("healthy") == [RoomState.CONNECTING, RoomState.STREAMING, RoomState.STOPPED]
    assert ear.gone == []


def test_a_room_whose_thread_hangs_is_stopped_at_once(ear: Ear, mailbox: Mailbox, fifo: Path) -> None:
    with process(ear, mailbox, QUICK) as handle:
        handle.add_room(room(fifo), session_base=0)
        ear.until_state(RoomState.CONNECTING)
        began_s = time.monotonic()
        handle.remove_room("r1")
        ear.until_state(RoomState.STOPPED)
        assert time.monotonic() - began_s < 1.0
        ear.until(lambda: given_up(ear) == (0, 1), 3.0)
        threads = threads_of(handle.pid)
        let_go(fifo, handle, threads - 1)
    assert ear.states() == [RoomState.CONNECTING, RoomState.STOPPED]


def test_a_live_room_whose_threads_hang_gets_others_until_too_many_hang(
    ear: Ear, mailbox: Mailbox, tmp_path: Path
) -> None:
    ca_file = Authority(tmp_path).ca_file
    config = QUICK.model_copy(update={"ca_file": ca_file, "max_hung": 1, "backoff_first": 0.05})
    with process(ear, mailbox, config) as handle:
        ear.until(lambda: bool(ear.processes))
        ca_file.unlink()
        os.mkfifo(ca_file)  # as on a file system that does not answer any more
        handle.add_room(room("https://127.0.0.1/live"), session_base=0)
        ear.until(lambda: given_up(ear) == (1, 1), HUNG_AFTER_S + 5.0)
        ear.until_state(RoomState.CONNECTING, times=2)
        threads = threads_of(handle.pid)
        time.sleep(HUNG_AFTER_S + 1.0)
        assert threads_of(handle.pid) == threads, "no other one is given up: the process is to be replaced"
        assert given_up(ear) == (1, 1)
        handle.remove_room("r1")
        ear.until_state(RoomState.STOPPED, within_s=1.5)
    assert {change.reason for change in ear.changes if change.state is RoomState.BACKING_OFF} == {"hung"}


def test_a_publisher_that_stops_dead_is_a_stall_and_can_be_stopped_at_once(ear: Ear, mailbox: Mailbox) -> None:
    need("nginx", what_is_missing("nginx"))
    need("ffmpeg", None if shutil.which("ffmpeg") else "apt-get install ffmpeg")
    config = CONFIG.model_copy(update={"stall_after": 2.0, "open_timeout": 2.0})
    with rtmp_server(prefer="nginx") as server, LiveRtmp(CLIP, server.rtmp_url("a"), loop=9) as publisher:
        with process(ear, mailbox, config) as handle:
            handle.add_room(room(server.rtmp_url("a")), session_base=0)
            take(mailbox, 2)
            os.kill(publisher.pid, signal.SIGSTOP)
            began_s = time.monotonic()
            ear.until_state(RoomState.STALLED)
            assert time.monotonic() - began_s < config.stall_after + 3.0
            ear.until_state(RoomState.CONNECTING, times=2)
            stalled = ear.changes[2]
            assert (stalled.state, stalled.reason, stalled.session) == (RoomState.STALLED, "stalled", 1)
            stopped_s = time.monotonic()
            handle.remove_room("r1")
            ear.until_state(RoomState.STOPPED)
            assert time.monotonic() - stopped_s < 1.0
        os.kill(publisher.pid, signal.SIGCONT)
