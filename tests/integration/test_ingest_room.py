"""One room's thread: what it does when a stream fails, when nobody takes its frames, and when it is told to stop."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from sample_streams.child import free_port
from streammon.entities import RoomState
from streammon.ingest.config import IngestConfig
from streammon.ingest.rooms.arena import Arena, create_arena_fd
from streammon.ingest.rooms.puller import Puller
from streammon.ingest.rooms.room import RoomWorker
from streammon.ingest.rooms.wire import AddRoom, Channel, FrameReady, FromIngest, RoomChanged, RoomStats, ToIngest
from tests.integration.ingesting import CONFIG
from tests.media import clip


class Engine:
    """The engine's side of one room, in this process: it hears all, and gives a slot back only when told to."""

    def __init__(self, url: str, arena_fd: int, slots: int, interval_s: float, config: IngestConfig) -> None:
        ours, theirs = socket.socketpair()
        self.channel: Channel[FromIngest] = Channel(Connection(ours.detach()), FromIngest)
        self._theirs: Channel[ToIngest] = Channel(Connection(theirs.detach()), ToIngest)
        self._arena = Arena(arena_fd, slots=slots, slot_bytes=CONFIG.slot_bytes)
        add = AddRoom(
            room_id="r1", url=url, headers={}, interval_s=interval_s, session_base=0, slots=list(range(slots))
        )
        self.room = RoomWorker(add, config, self._arena, self._theirs)
        self.frames: list[FrameReady] = []
        self.changes: list[RoomChanged] = []

    @property
    def states(self) -> list[RoomState]:
        return [change.state for change in self.changes]

    def hear_until(self, state: RoomState, times: int = 1, within_s: float = 8.0) -> None:
        give_up_s = time.monotonic() + within_s
        while self.states.count(state) < times:
            assert time.monotonic() < give_up_s, f"only heard {self.changes}"
            message = self.channel.receive(0.1)
            if isinstance(message, FrameReady):
                self.frames.append(message)
            elif isinstance(message, RoomChanged):
                self.changes.append(message)

    def hears_no_more(self, for_s: float) -> bool:
        """Whether nothing is sent for so long."""
        return self.channel.receive(for_s) is None

    def close(self) -> None:
        self.room.stop()
        assert self.room.join(2.0), "its thread is still there"
        self.channel.close()
        self._theirs.close()
        self._arena.close()


@contextmanager
def engine(url: str, slots: int = 4, interval_s: float = 0.5, config: IngestConfig = CONFIG) -> Iterator[Engine]:
    fd = create_arena_fd(slots * CONFIG.slot_bytes)
    made = Engine(url, fd, slots, interval_s, config)
    os.close(fd)
    made.room.start()
    try:
        yield made
    finally:
        made.close()


class Web(ThreadingHTTPServer):
    """Serves `pages` on loopback, by path; what is not there is forbidden."""

    def __init__(self, pages: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.pages = pages

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Request(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        content = self.server.pages.get(self.path)
        self.send_response(200 if content is not None else 403)
        self.end_headers()
        self.wfile.write(content if content is not None else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@pytest.fixture
def web() -> Iterator[Web]:
    """Ten seconds of video at `/video.ts`, sent as fast as they are read."""
    with Web({"/video.ts": clip(10.0)}) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        yield http
        http.shutdown()
        thread.join(2.0)
        assert not thread.is_alive()


@pytest.fixture
def server(web: Web) -> str:
    return web.url("/video.ts")


def test_frames_that_nobody_takes_are_dropped_and_do_not_make_the_room_late(server: str) -> None:
    began_s = time.monotonic()
    with engine(server, slots=2) as made:
        made.hear_until(RoomState.BACKING_OFF)
        took_s = time.monotonic() - began_s
        stats = made.room.counts.take("r1")
    assert [frame.slot for frame in made.frames] == [0, 1]
    assert (stats.sampled, stats.dropped) == (20, 18)
    assert stats.packets == 250
    assert took_s < 3.0, "one sample waits for a slot until its deadline, not every one"


def test_what_a_room_costs_is_told(server: str) -> None:
    began_s = time.process_time()
    told: list[RoomStats] = []
    with engine(server, slots=32, interval_s=5.0) as made:
        made.hear_until(RoomState.BACKING_OFF)
        for _ in range(2):
            made.room.report()
            message = made.channel.receive(5.0)
            while not isinstance(message, RoomStats):
                message = made.channel.receive(5.0)
            told.append(message)
    size = len(clip(10.0))
    assert size <= told[0].pulled_bytes < 2 * size, "the whole container, and some of it again"
    assert 0.0 < told[0].cpu_s <= time.process_time() - began_s
    assert told[1].pulled_bytes < size, "what has been told is not told again"
    assert told[1].cpu_s < told[0].cpu_s


def test_a_slot_that_comes_back_in_time_is_waited_for(server: str) -> None:
    with engine(server, slots=1) as made:
        for count in range(1, 5):
            while len(made.frames) < count:
                message = made.channel.receive(5.0)
                assert message is not None
                if isinstance(message, FrameReady):
                    made.frames.append(message)
            made.room.slots.put(0)
        assert [frame.pts_s for frame in made.frames] == pytest.approx([0.0, 0.5, 1.0, 1.5], abs=0.15)
        assert made.room.counts.take("r1").dropped == 0


def test_a_live_stream_that_ends_is_tried_again_as_the_next_session(server: str) -> None:
    with engine(server, slots=32, interval_s=5.0) as made:
        made.hear_until(RoomState.STREAMING, times=3)
    streaming = [change for change in made.changes if change.state is RoomState.STREAMING]
    assert [change.session for change in streaming] == [1, 2, 3]
    assert {change.reason for change in made.changes if change.state is RoomState.BACKING_OFF} == {"ended"}
    assert [frame.session for frame in made.frames] == [1, 1, 1, 2, 2, 2]
    assert [frame.seq for frame in made.frames] == [1, 2, 3, 4, 5, 6]


def test_a_stream_that_cannot_be_reached_is_tried_until_the_stop() -> None:
    with engine(f"http://127.0.0.1:{free_port()}/live") as made:
        made.hear_until(RoomState.BACKING_OFF, times=3)
        made.room.stop()
        made.hear_until(RoomState.STOPPED)
    assert {change.session for change in made.changes} == {0}
    backing_off = [change for change in made.changes if change.state is RoomState.BACKING_OFF]
    assert {change.reason for change in backing_off} == {"unreachable"}
    assert all("127.0.0.1" not in (change.detail or "") for change in made.changes)


def test_a_file_that_is_no_video_fails_for_good(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<html></html>" * 100, encoding="utf-8")
    with engine(str(path)) as made:
        made.hear_until(RoomState.FAILED)
        assert made.room.join(1.0)
    assert made.states == [RoomState.CONNECTING, RoomState.FAILED]
    assert made.changes[-1].reason == "not_media"
    assert "check that the URL is the stream" in (made.changes[-1].detail or "")


def test_a_stop_is_heard_while_a_sample_waits_for_a_slot(server: str) -> None:
    with engine(server, slots=1, interval_s=5.0) as made:
        made.hear_until(RoomState.STREAMING)
        while not isinstance(made.channel.receive(5.0), FrameReady):
            pass
        assert made.channel.receive(0.3) is None
        made.room.stop()
        assert made.room.join(1.0)
        made.hear_until(RoomState.STOPPED)


def test_a_file_ends_and_then_stops(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(0.4, container="mp4"))
    with engine(str(path)) as made:
        made.hear_until(RoomState.STOPPED)
        assert made.room.join(1.0)
    assert made.states == [RoomState.CONNECTING, RoomState.STREAMING, RoomState.ENDED, RoomState.STOPPED]
    assert [change.reason for change in made.changes] == [None, None, "end_of_stream", None]


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXTINF:1,\n/1.ts\n%s"


def test_a_stream_that_is_over_is_looked_at_again_without_a_word_until_it_comes_back(web: Web) -> None:
    web.pages |= {"/live.m3u8": PLAYLIST % (7, b"#EXT-X-ENDLIST\n"), "/1.ts": clip(1.0)}
    with engine(web.url("/live.m3u8")) as made:
        made.hear_until(RoomState.ENDED)
        assert made.channel.receive(1.5) is None, "it has been looked at again several times"
        web.pages["/live.m3u8"] = PLAYLIST % (1, b"")
        made.hear_until(RoomState.STREAMING, times=2)
        made.room.stop()
        made.hear_until(RoomState.STOPPED)
    assert made.states == [
        RoomState.CONNECTING, RoomState.STREAMING, RoomState.ENDED, RoomState.STREAMING, RoomState.STOPPED,
    ]  # fmt: skip
    assert [change.session for change in made.changes] == [0, 1, 1, 2, 2]
    assert made.changes[2].reason == "end_of_stream"


def test_a_stream_that_is_over_and_then_gone_says_so(web: Web) -> None:
    web.pages |= {"/live.m3u8": PLAYLIST % (7, b"#EXT-X-ENDLIST\n"), "/1.ts": clip(0.4)}
    with engine(web.url("/live.m3u8")) as made:
        made.hear_until(RoomState.ENDED)
        del web.pages["/live.m3u8"]
        made.hear_until(RoomState.CONNECTING, times=2)
    assert made.states[2:5] == [RoomState.ENDED, RoomState.BACKING_OFF, RoomState.CONNECTING]
    assert made.changes[3].reason == "denied"


def test_what_is_played_at_its_own_pace_is_not_overdue(web: Web) -> None:
    web.pages |= {"/live.m3u8": PLAYLIST % (1, b"#EXT-X-ENDLIST\n"), "/1.ts": clip(4.0)}
    late_s = []
    with engine(web.url("/live.m3u8"), slots=32) as made:
        while RoomState.ENDED not in made.states:
            message = made.channel.receive(5.0)
            assert message is not None
            if isinstance(message, FrameReady):
                late_s.append(time.monotonic() - message.received_s)
            elif isinstance(message, RoomChanged):
                made.changes.append(message)
    assert len(late_s) == 8
    assert max(late_s) < 0.5


def test_an_address_that_may_not_be_connected_to_is_told(server: str) -> None:
    with engine(server, config=CONFIG.model_copy(update={"allow_networks": ()})) as made:
        made.hear_until(RoomState.BACKING_OFF, times=2)
    assert {change.reason for change in made.changes if change.state is RoomState.BACKING_OFF} == {"forbidden_address"}
    assert made.frames == []


@pytest.mark.parametrize("url", ["rtmp://[::1/live/x", "http://[::1/live", "http://h:99999/", "https://\x00", "rtmp:"])
def test_a_malformed_address_is_an_error_of_the_room_s_alone(url: str) -> None:
    with engine(url) as made:
        made.hear_until(RoomState.BACKING_OFF, times=2)
    assert {change.reason for change in made.changes if change.state is RoomState.BACKING_OFF} == {"unreachable"}


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A file that nobody writes to: to open it takes for ever, in C."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def let_go(fifo: Path, hung: Puller, within_s: float = 5.0) -> None:
    """Has a thread that hangs in opening the file come back, however often it opens it. Waits for its end."""
    give_up_s = time.monotonic() + within_s
    while not hung.join(0.02):
        assert time.monotonic() < give_up_s, "it has not come back"
        with suppress(OSError):  # nobody opens it just now
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))


def overdue_s() -> float:
    """A time by which every thread should have come on."""
    return time.monotonic() + 60.0


def test_a_thread_that_hangs_is_given_up_in_two_steps_and_its_last_words_are_not_sent(fifo: Path) -> None:
    with engine(str(fifo)) as made:
        made.hear_until(RoomState.CONNECTING)
        assert made.room.watch(time.monotonic(), may_give_up=True) is None
        late_s = overdue_s()
        assert made.room.watch(late_s, may_give_up=True) is None, "it is asked to hang up first"
        assert made.room.watch(late_s + 1.0, may_give_up=True) is None
        hung = made.room.watch(late_s + 2.1, may_give_up=True)
        assert hung is not None
        assert hung.alive
        made.hear_until(RoomState.FAILED)
        assert made.changes[-1].reason == "hung"
        assert made.room.over
        assert made.room.watch(late_s + 10.0, may_give_up=True) is None
        let_go(fifo, hung)
        assert made.hears_no_more(0.2)
    assert made.states == [RoomState.CONNECTING, RoomState.FAILED]


def test_a_thread_that_hangs_is_left_where_too_many_do(fifo: Path) -> None:
    with engine(str(fifo)) as made:
        made.hear_until(RoomState.CONNECTING)
        late_s = overdue_s()
        for step in range(5):
            assert made.room.watch(late_s + 2.0 * step, may_give_up=False) is None
        made.room.stop()
        hung = made.room.watch(time.monotonic() + 0.6, may_give_up=False)
        assert hung is not None, "a stop waits for nobody"
        made.hear_until(RoomState.STOPPED)
        let_go(fifo, hung)
        assert made.hears_no_more(0.2)
    assert made.states == [RoomState.CONNECTING, RoomState.STOPPED]


def test_a_thread_that_comes_on_late_is_not_given_up(fifo: Path) -> None:
    with engine(str(fifo)) as made:
        made.hear_until(RoomState.CONNECTING)
        assert made.room.watch(overdue_s(), may_give_up=True) is None
        let_go(fifo, made.room._puller)
        made.hear_until(RoomState.FAILED)
        assert made.room.watch(overdue_s(), may_give_up=True) is None
    assert made.changes[-1].reason != "hung"


def test_a_thread_that_came_on_is_asked_to_hang_up_anew_when_it_is_late_again(fifo: Path, server: str) -> None:
    config = CONFIG.model_copy(update={"ca_file": fifo, "backoff_first": 0.5})
    with engine(server, config=config) as made:
        made.hear_until(RoomState.CONNECTING)
        assert made.room.watch(overdue_s(), may_give_up=True) is None
        while RoomState.BACKING_OFF not in made.states:
            with suppress(OSError):
                os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
            message = made.channel.receive(0.02)
            if isinstance(message, RoomChanged):
                made.changes.append(message)
        assert made.room.watch(time.monotonic(), may_give_up=True) is None
        made.hear_until(RoomState.CONNECTING, times=2)
        assert made.room.watch(overdue_s() + 10.0, may_give_up=True) is None, "it has its time again"
        made.room.stop()
        hung = made.room.watch(time.monotonic() + 0.6, may_give_up=True)
        assert hung is not None
        let_go(fifo, hung)


def test_a_live_room_whose_thread_hangs_gets_another(fifo: Path, server: str) -> None:
    config = CONFIG.model_copy(update={"ca_file": fifo, "backoff_first": 0.01})
    with engine(server, config=config) as made:
        made.hear_until(RoomState.CONNECTING)
        late_s = overdue_s()
        made.room.watch(late_s, may_give_up=True)
        hung = made.room.watch(late_s + 2.1, may_give_up=True)
        assert hung is not None
        made.hear_until(RoomState.CONNECTING, times=2)
        assert hung.alive
        assert made.states == [RoomState.CONNECTING, RoomState.BACKING_OFF, RoomState.CONNECTING]
        assert made.changes[1].reason == "hung"
        made.room.stop()
        other = made.room.watch(time.monotonic() + 0.6, may_give_up=True)
        made.hear_until(RoomState.STOPPED)
        assert other is not None
        for puller in (hung, other):
            let_go(fifo, puller)
        assert made.hears_no_more(0.2)
    assert made.states[3:] == [RoomState.STOPPED]


def test_a_room_that_is_stopped_before_its_thread_runs_sends_nothing_afterwards() -> None:
    with engine(f"http://127.0.0.1:{free_port()}/live", config=CONFIG) as made:
        made.hear_until(RoomState.BACKING_OFF)
        made.room.stop()
        made.hear_until(RoomState.STOPPED)
        made.room.runs_on(7, "puller_7")
        assert made.hears_no_more(0.2), "who is over is not spoken of: it would be another room's, or nobody's"
