"""The ingest process, really started: what it sends arrives, and whatever becomes of it, the engine's side lives on."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sample_streams.live_hls import LiveHls
from streammon.entities import RoomState
from streammon.ingest.rooms import handle as module
from streammon.ingest.rooms.handle import IngestLoss
from streammon.ingest.rooms.mailbox import Mailbox
from tests.integration.ingesting import (
    CLIP,
    CONFIG,
    Ear,
    alive,
    held,
    new_mailbox,
    process,
    room,
    take,
    until,
    until_dead,
)
from tests.media import RATE, clip

PEER = """#!{python}
import os, sys, time
from datetime import UTC, datetime
from itertools import pairwise
from multiprocessing.connection import Connection
import msgspec
from streammon.entities import PictureState
from streammon.ingest.rooms.wire import AddRoom, Channel, FrameReady, RoomPicture, RoomStats, RoomThread, ToIngest

channel = Channel(Connection(int(sys.argv[-3])), ToIngest)
while not isinstance(add := channel.receive(10.0), AddRoom):
    pass
own = FrameReady(room_id=add.room_id, slot=add.slots[0], seq=1, session=1, pts_s=0.0, program_at=None,
                 received_at=datetime.now(UTC), received_s=time.monotonic(), deadline_s=time.monotonic() + 60,
                 key_frame=True, width=8, height=8, image_width=8, image_height=8)
change = msgspec.structs.replace
stats = RoomStats(room_id=add.room_id, packets=1, packet_bytes=1, decoded=1, sampled=1, dropped=0, decode_errors=0)
picture = RoomPicture(room_id=add.room_id, session=1, at=datetime.now(UTC), picture=PictureState.BLACK, width=8,
                      height=8, resized=False)
wire = channel._connection
{deed}
time.sleep(60)
"""
SLOT, ROOM, TALK = "a slot that is not its own", "a room that is not its own", "control channel"
DEEDS = {
    "another room's slot": ("channel.send(change(own, slot=max(set(range(32)) - set(add.slots))))", SLOT),
    "a slot that does not exist": ("channel.send(change(own, slot=10_000))", SLOT),
    "a negative slot": ("channel.send(change(own, slot=-1))", SLOT),
    "a slot that it has lent already": ("channel.send(own); channel.send(own)", SLOT),
    "a picture larger than the slot": ("channel.send(change(own, image_width=1 << 20, image_height=1 << 20))", SLOT),
    "a picture without pixels": ("channel.send(change(own, image_width=0))", SLOT),
    "a frame of a room that it was not given": ("channel.send(change(own, room_id='another'))", ROOM),
    "counts of a room that it was not given": ("channel.send(change(stats, room_id='another'))", ROOM),
    "a picture of a room that it was not given": ("channel.send(change(picture, room_id='another'))", ROOM),
    "a thread of a room that it was not given": (
        "channel.send(RoomThread(room_id='another', tid=1, mark='puller_1'))",
        ROOM,
    ),
    "counts below zero": ("channel.send(change(stats, packets=-1))", TALK),
    "garbage": ("wire.send_bytes(os.urandom(100))", TALK),
    "an endless message": ("os.write(wire.fileno(), (0x7fffffff).to_bytes(4, 'big'))", TALK),
    "half a message": ("os.write(wire.fileno(), (100).to_bytes(4, 'big') + b'half')", TALK),
    "the end of the conversation": ("wire.close()", ""),
}


def test_a_file_s_frames_arrive_with_the_right_times_and_pictures(ear: Ear, mailbox: Mailbox, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(3.0, 3.0, container="mp4"))
    with process(ear, mailbox) as handle:
        handle.add_room(room(path), session_base=4)
        frames = take(mailbox, 6)
        ear.until(lambda: RoomState.STOPPED in ear.states())
    assert [frame.seq for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert [frame.moment.pts_s for frame in frames] == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5], abs=0.13)
    assert [frame.key_frame for frame in frames] == [True, False] * 3
    for frame in frames:
        assert frame.image.mean() == pytest.approx(16 + frame.moment.pts_s * RATE, abs=2.5)
        assert (frame.width, frame.height, frame.image.shape) == (160, 90, (90, 160, 3))
        assert frame.moment.session == 5
        assert frame.deadline_s - frame.received_s == pytest.approx(1.0)
        assert timedelta(0) < datetime.now(UTC) - frame.moment.received_at < timedelta(seconds=15)
    paced_s = frames[-1].received_s - frames[0].received_s
    assert paced_s == pytest.approx(2.5, abs=0.5), "a file is watched as if it were live"
    assert ear.states() == [RoomState.CONNECTING, RoomState.STREAMING, RoomState.ENDED, RoomState.STOPPED]
    assert [change.session for change in ear.changes] == [4, 5, 5, 5]
    assert sum(stats.sampled for stats in ear.stats) == 6
    assert sum(stats.packets for stats in ear.stats) == 75


def test_a_live_stream_is_sampled_and_its_rate_can_be_changed(ear: Ear, mailbox: Mailbox) -> None:
    with LiveHls(CLIP, segment_s=2.0) as stream, process(ear, mailbox) as handle:
        handle.add_room(room(stream.url, 2.0), session_base=0)
        first, second = take(mailbox, 2)
        handle.set_interval("r1", 0.25)
        frames = take(mailbox, 8)
        handle.remove_room("r1")
        ear.until(lambda: RoomState.STOPPED in ear.states())
    assert second.moment.pts_s - first.moment.pts_s == pytest.approx(2.0, abs=0.2)
    assert frames[-1].moment.pts_s - frames[1].moment.pts_s == pytest.approx(6 * 0.25, abs=0.3)
    assert frames[0].image.shape == (720, 1280, 3)
    assert {frame.moment.session for frame in frames} == {1}


def test_a_burst_of_samples_is_not_lost_on_an_engine_that_takes_its_time(ear: Ear, mailbox: Mailbox) -> None:
    """A segment of two seconds comes at once: eight samples, which the engine may look at until the next one comes."""
    with (
        LiveHls(CLIP, segment_s=2.0) as stream,
        process(ear, mailbox, CONFIG.model_copy(update={"slots_per_room": 2})) as handle,
    ):
        handle.add_room(room(stream.url, 0.25), session_base=0)
        frames = []
        for _ in range(17):
            frames += take(mailbox, 1)
            time.sleep(0.12)
    gaps = [after.moment.pts_s - before.moment.pts_s for before, after in pairwise(frames)]
    assert max(gaps) <= 0.25 + 0.1, "a sample was lost"


def test_a_picture_larger_than_the_bound_is_scaled_down(ear: Ear, mailbox: Mailbox) -> None:
    with process(ear, mailbox, CONFIG.model_copy(update={"longest_side_px": 320})) as handle:
        handle.add_room(room(CLIP), session_base=0)
        (frame,) = take(mailbox, 1)
    assert (frame.width, frame.height, frame.image.shape) == (1280, 720, (180, 320, 3))


def test_a_killed_process_is_heard_of_once(ear: Ear, mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    with process(ear, mailbox) as handle:
        handle.add_room(room(CLIP), session_base=0)
        take(mailbox, 1)
        os.kill(handle.pid, signal.SIGKILL)
        ear.until(lambda: bool(ear.gone), 2.0)
    assert ear.gone == [(handle, IngestLoss(cause="SIGKILL", room_id=None))]
    assert "SIGKILL" in caplog.text


def test_a_process_that_was_asked_to_stop_is_not_mourned(ear: Ear, mailbox: Mailbox) -> None:
    with process(ear, mailbox) as handle:
        handle.add_room(room(CLIP), session_base=0)
        take(mailbox, 1)
    handle.close()
    assert ear.gone == []
    assert ear.states()[-1] is RoomState.STOPPED


def test_a_process_that_hangs_is_noticed_and_killed(
    ear: Ear, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_SILENT_S", 2.5)
    with process(ear, mailbox) as handle:
        handle.add_room(room(CLIP), session_base=0)
        take(mailbox, 1)
        os.kill(handle.pid, signal.SIGSTOP)
        ear.until(lambda: bool(ear.gone), 5.0)
    assert "no word for 2.5 s" in caplog.text


@pytest.mark.parametrize("deed", DEEDS)
def test_a_process_that_misbehaves_is_killed_and_buried(
    ear: Ear,
    mailbox: Mailbox,
    deed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    statement, reason = DEEDS[deed]
    peer = tmp_path / "peer"
    peer.write_text(PEER.format(python=sys.executable, deed=statement), encoding="utf-8")
    peer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(peer))
    monkeypatch.setenv("PYTHONPATH", str(CLIP.parents[1]))
    with caplog.at_level(logging.ERROR), process(ear, mailbox) as handle:
        handle.add_room(room("unused"), session_base=0)
        ear.until(lambda: bool(ear.gone), 8.0)
        assert not alive(handle.pid)
    assert f"ingest process {handle.pid} is gone: SIGKILL" in caplog.text
    assert reason in caplog.text
    assert (ear.changes, ear.stats) == ([], [])


def test_close_is_quick_with_a_room_stuck_in_open(ear: Ear, mailbox: Mailbox) -> None:
    config = CONFIG.model_copy(update={"open_timeout": 60.0})
    with socket.create_server(("127.0.0.1", 0)) as silent, process(ear, mailbox, config) as handle:
        handle.add_room(room(f"http://127.0.0.1:{silent.getsockname()[1]}/live"), session_base=0)
        connection, _ = silent.accept()
        began_s = time.monotonic()
        handle.close()
        assert time.monotonic() - began_s < 4.0
        connection.close()


def test_close_is_quick_with_a_process_that_hangs(ear: Ear, mailbox: Mailbox) -> None:
    with process(ear, mailbox) as handle:
        handle.add_room(room(CLIP), session_base=0)
        take(mailbox, 1)
        os.kill(handle.pid, signal.SIGSTOP)
        began_s = time.monotonic()
        handle.close()
        assert time.monotonic() - began_s < 4.0


def test_no_ingest_process_outlives_its_engine() -> None:
    script = (
        "import time; from tests.integration.ingesting import *\n"
        "handle = IngestHandle(CONFIG, new_mailbox(), Ear()); handle.add_room(room(CLIP), 0)\n"
        "print(handle.pid, flush=True); time.sleep(60)"
    )
    engine = subprocess.Popen([sys.executable, "-c", script], cwd=CLIP.parents[1], stdout=subprocess.PIPE, text=True)
    try:
        assert engine.stdout is not None
        pid = int(engine.stdout.readline())
        assert alive(pid)
    finally:
        engine.kill()
        engine.communicate(timeout=5.0)
    until_dead(pid, 5.0)


def test_a_room_that_ended_before_it_was_removed_is_watched_when_it_comes_again(
    ear: Ear, mailbox: Mailbox, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(0.4, container="mp4"))
    with process(ear, mailbox) as handle:
        handle.add_room(room(path), session_base=0)
        ear.until_state(RoomState.STOPPED)
        handle.remove_room("r1")
        take(mailbox, 1)
        handle.add_room(room(path), session_base=1)
        assert take(mailbox, 1, 5.0)[0].moment.session == 2


def test_a_frame_that_is_read_after_its_room_came_again_costs_nobody_anything(ear: Ear, mailbox: Mailbox) -> None:
    with process(ear, mailbox, CONFIG.model_copy(update={"slots_per_room": 2})) as handle:
        handle.add_room(room(CLIP), session_base=0)
        until(lambda: mailbox.waiting() == 2)
        handle.remove_room("r1")
        ear.until_state(RoomState.STOPPED)
        handle.add_room(room(CLIP), session_base=1)
        frames = take(mailbox, 8, 15.0)
    assert [frame.moment.session for frame in frames] == [1, 1] + [2] * 6
    assert ear.gone == []


def test_a_crash_in_a_room_s_thread_names_the_room(ear: Ear, mailbox: Mailbox) -> None:
    with process(ear, mailbox) as handle:
        for room_id in ("a", "b"):
            handle.add_room(room(CLIP, room_id=room_id), session_base=0)
            ear.until_state(RoomState.STREAMING, room_id)
        (tid,) = [thread.tid for thread in handle.threads.values() if thread.room_id == "b"]
        ctypes.CDLL(None).tgkill(handle.pid, tid, signal.SIGSEGV)
        ear.until(lambda: bool(ear.gone), 5.0)
    assert ear.gone == [(handle, IngestLoss(cause="SIGSEGV", room_id="b"))]


def test_twenty_lives_leave_nothing_behind() -> None:
    def live(ear: Ear, mailbox: Mailbox) -> None:
        with process(ear, mailbox) as handle:
            handle.add_room(room(CLIP, room_id="a"), session_base=0)
            ear.until(lambda: len(ear.changes) > 0)

    live(Ear(), new_mailbox())
    before = held()
    for _ in range(20):
        live(Ear(), new_mailbox())
    assert held() == before
