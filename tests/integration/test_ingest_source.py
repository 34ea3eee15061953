"""A source opened on real sockets: every way a server can refuse, lie, hang or break off has its class and its cure."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sample_streams.child import free_port
from sample_streams.demo import CLIP
from sample_streams.live_hls import cut_segments
from streammon.errors import (
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceHasNoVideo,
    SourceNotMedia,
    SourceStalled,
    SourceUnreachable,
)
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.opening import open_source
from streammon.ingest.source import Source, SourceRequest
from tests.integration.ingesting import LOOPBACK
from tests.media import clip

CONFIG = IngestConfig(open_timeout=1.0, stall_after=1.0, allow_networks=LOOPBACK)
TS_PACKET_BYTES = 188
VIDEO_PID = 0x100  # of FFmpeg's muxer
SECRET = "s3cret-key"  # noqa: S105 - part of a URL that no message may repeat
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n"
PAGES: dict[str, bytes] = {
    "/page": b"<!DOCTYPE html><html><body>" + b"<p>Sign in</p>" * 400 + b"</body></html>",
    "/notes.txt": b"hello\n" * 500,
    "/empty": b"",
    "/sound": clip(0, 1.0),
    "/gone.m3u8": PLAYLIST % b"404.ts",
    "/page.m3u8": PLAYLIST % b"page",
    "/local.m3u8": PLAYLIST % b"file:///proc/self/status",
    "/none-yet.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n",
    "/video.ts": clip(2.0),
}
Body = Callable[[BaseHTTPRequestHandler, threading.Event], None]


class Server(ThreadingHTTPServer):
    """PAGES on loopback, and `/live`, which `live` writes as it likes until `stop` is set."""

    daemon_threads = False

    def __init__(self, live: Body) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.live, self.stop = live, threading.Event()
        self.seen: list[dict[str, str]] = []


class Request(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.seen.append(dict(self.headers.items()))
        if path != "/live" and path not in PAGES:
            self.send_error(int(path.strip("/").removesuffix(".ts")))
            return
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        if path in PAGES:
            self.send_header("Content-Length", str(len(PAGES[path])))
        self.end_headers()
        try:
            if path == "/live":
                self.server.live(self, self.server.stop)
            else:
                self.wfile.write(PAGES[path])
        except ConnectionError:
            self.close_connection = True  # the source has gone

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


@contextmanager
def serving(live: Body) -> Iterator[Server]:
    server = Server(live)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join(2.0)
        assert not thread.is_alive()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with serving(lambda _request, _stop: None) as server:
        yield f"http://user:{SECRET}@127.0.0.1:{server.server_port}"


def opened(url: str, headers: Mapping[str, str] | None = None, config: IngestConfig = CONFIG) -> Source:
    return open_source(SourceRequest(url=url, headers=headers or {}), config, threading.Event())


def error_of(url: str, config: IngestConfig = CONFIG) -> SourceError:
    """What keeps a stream from giving its first packet."""
    packets, error, _ = read_all(url, config)
    assert packets == 0
    text = str(error)
    assert not [part for part in (SECRET, "127.0.0.1", "://", "\n") if part in text], text
    assert "; " in text, f"no cure in: {text}"
    assert error.retryable
    return error


def read_all(url: str, config: IngestConfig = CONFIG) -> tuple[int, SourceError, float]:
    """How many packets came, what ended them, and the seconds that it all took."""
    packets = 0
    began_s = time.monotonic()
    try:
        with closing(opened(url, config=config)) as source:
            for run in source.runs():
                for _ in run.packets():
                    packets += 1
    except SourceError as error:
        return packets, error, time.monotonic() - began_s
    raise AssertionError("a live stream ended without a reason")


@pytest.mark.parametrize(
    ("path", "kind", "code", "said"),
    [
        ("/404", SourceUnreachable, "unreachable", "404"),
        ("/403", SourceDenied, "denied", "403"),
        ("/401", SourceDenied, "denied", "401"),
        ("/500", SourceUnreachable, "unreachable", "500"),
        ("/503", SourceUnreachable, "unreachable", "503"),
        ("/page", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/notes.txt", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/empty", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/gone.m3u8", SourceStalled, "stalled", "no new segment came"),
        ("/page.m3u8", SourceNotMedia, "not_media", "a segment is a page"),
        ("/local.m3u8", SourceForbidden, "forbidden_address", "may not be fetched by that scheme"),
        ("/none-yet.m3u8", SourceStalled, "stalled", "no new segment came"),
        ("/sound", SourceHasNoVideo, "no_video", "publish H.264"),
    ],
)
def test_what_a_web_server_answers_instead_of_a_stream(
    web: str, path: str, kind: type[SourceError], code: str, said: str
) -> None:
    error = error_of(f"{web}{path}?key={SECRET}")
    assert type(error) is kind
    assert error.code == code
    assert said in str(error)


@pytest.mark.parametrize("scheme", ["http", "rtmp"])
def test_a_refused_port(scheme: str) -> None:
    error = error_of(f"{scheme}://127.0.0.1:{free_port()}/live/{SECRET}")
    assert type(error) is SourceUnreachable
    assert "check host, port and network" in str(error)


@pytest.mark.parametrize("scheme", ["http", "rtmp"])
def test_a_server_that_accepts_and_never_answers_is_given_up_in_time(scheme: str) -> None:
    began_s = time.monotonic()
    with silent_port() as port:
        error = error_of(f"{scheme}://127.0.0.1:{port}/live/{SECRET}")
    assert type(error) is SourceUnreachable
    assert "within 1 s" in str(error)
    assert 0.9 < time.monotonic() - began_s < 2.5


@pytest.mark.parametrize("url", ["http://127.0.0.1:%d/live", "rtmp://127.0.0.1:%d/live", "rtmps://127.0.0.1:%d/live"])
def test_an_address_that_is_not_public_is_refused_before_anything_connects(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = error_of(url % server.getsockname()[1], CONFIG.model_copy(update={"allow_networks": ()}))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert type(error) is SourceForbidden
    assert error.code == "forbidden_address"
    assert "ingest.allow_networks" in str(error)


def test_the_room_s_headers_are_sent() -> None:
    with serving(lambda _request, _stop: None) as server:
        opened(f"http://127.0.0.1:{server.server_port}/video.ts", {"Referer": "https://a", "X-Key": "1"}).close()
    assert server.seen[0]["Referer"] == "https://a"
    assert server.seen[0]["X-Key"] == "1"


def test_the_end_of_a_live_stream_is_a_disconnect(web: str) -> None:
    packets, error, _ = read_all(f"{web}/video.ts")
    assert packets == 50
    assert type(error) is SourceEnded


@pytest.fixture(scope="module")
def long_ts(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The sample clip, sound and all, as MPEG-TS: longer than what FFmpeg reads to know a stream."""
    return b"".join(file.read_bytes() for file, _ in cut_segments(CLIP, tmp_path_factory.mktemp("ts"), 2.0))


def test_a_stream_that_falls_silent_is_stalled(long_ts: bytes) -> None:
    def live(request: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        request.wfile.write(long_ts)
        request.wfile.flush()
        stop.wait(10.0)

    with serving(live) as server:
        packets, error, took_s = read_all(f"http://127.0.0.1:{server.server_port}/live")
    assert packets > 1100
    assert type(error) is SourceStalled
    assert error.code == "stalled"
    assert 0.8 < took_s < 4.0


def test_sound_that_goes_on_does_not_hide_that_the_video_stopped(long_ts: bytes) -> None:
    half = len(long_ts) // 2 // TS_PACKET_BYTES * TS_PACKET_BYTES

    def live(request: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        request.wfile.write(long_ts[:half])
        for start in range(half, len(long_ts), TS_PACKET_BYTES):
            packet = long_ts[start : start + TS_PACKET_BYTES]
            if int.from_bytes(packet[1:3], "big") & 0x1FFF == VIDEO_PID:
                continue
            request.wfile.write(packet)
            if stop.wait(0.02):
                return

    with serving(live) as server:
        packets, error, took_s = read_all(f"http://127.0.0.1:{server.server_port}/live")
    assert 500 <= packets <= 700
    assert type(error) is SourceStalled
    assert 0.9 < took_s < 5.0


def test_a_connection_that_breaks_is_over_at_once() -> None:
    def live(request: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        request.wfile.write(PAGES["/video.ts"][:-3000])
        request.wfile.flush()
        request.connection.shutdown(socket.SHUT_RDWR)

    with serving(live) as server:
        packets, error, took_s = read_all(f"http://127.0.0.1:{server.server_port}/live")
    assert packets > 20
    assert type(error) is SourceEnded
    assert took_s < 1.0
