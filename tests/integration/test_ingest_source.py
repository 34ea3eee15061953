"""A source opened on real sockets: every way a server can refuse, lie, hang or break off has its class and its cure."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sample_streams.child import free_port
from streammon.errors import (
    SourceEnded,
    SourceError,
    SourceHasNoVideo,
    SourceNotMedia,
    SourceStalled,
    SourceUnreachable,
)
from streammon.ingest.config import IngestConfig
from streammon.ingest.source import Source, SourceRequest
from tests.media import clip

CONFIG = IngestConfig(open_timeout=1.0, stall_after=1.0)
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


def error_of(url: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        Source(SourceRequest(url=url, headers={}), CONFIG)
    text = str(caught.value)
    assert not [part for part in (SECRET, "127.0.0.1", "://", "\n") if part in text], text
    assert "; " in text, f"no cure in: {text}"
    assert caught.value.retryable
    return caught.value


def read_all(url: str) -> tuple[int, SourceError, float]:
    """How many packets came, what ended them, and the seconds that it all took."""
    packets = 0
    began_s = time.monotonic()
    with Source(SourceRequest(url=url, headers={}), CONFIG) as opened:
        try:
            for _ in opened.packets(threading.Event()):
                packets += 1
        except SourceError as error:
            return packets, error, time.monotonic() - began_s
    raise AssertionError("a live stream ended without a reason")


@pytest.mark.parametrize(
    ("path", "kind", "code", "said"),
    [
        ("/404", SourceUnreachable, "unreachable", "404"),
        ("/403", SourceUnreachable, "unreachable", "403"),
        ("/401", SourceUnreachable, "unreachable", "401"),
        ("/500", SourceUnreachable, "unreachable", "5XX"),
        ("/503", SourceUnreachable, "unreachable", "5XX"),
        ("/page", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/notes.txt", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/empty", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/gone.m3u8", SourceUnreachable, "unreachable", "check the address and that it is live"),
        ("/page.m3u8", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/local.m3u8", SourceNotMedia, "not_media", "the stream, not a page"),
        ("/none-yet.m3u8", SourceHasNoVideo, "no_video", "publish H.264"),
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


def test_the_room_s_headers_are_sent() -> None:
    with serving(lambda _request, _stop: None) as server:
        request = SourceRequest(
            url=f"http://127.0.0.1:{server.server_port}/video.ts",
            headers={"Referer": "https://a", "X-Key": "1"},
        )
        Source(request, CONFIG).close()
    assert server.seen[0]["Referer"] == "https://a"
    assert server.seen[0]["X-Key"] == "1"


def test_the_end_of_a_live_stream_is_a_disconnect(web: str) -> None:
    packets, error, _ = read_all(f"{web}/video.ts")
    assert packets == 50
    assert type(error) is SourceEnded


def test_a_stream_that_falls_silent_is_stalled() -> None:
    def live(request: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        request.wfile.write(PAGES["/video.ts"])
        request.wfile.flush()
        stop.wait(10.0)

    with serving(live) as server:
        packets, error, took_s = read_all(f"http://127.0.0.1:{server.server_port}/live")
    assert packets > 40
    assert type(error) is SourceStalled
    assert error.code == "stalled"
    assert 0.8 < took_s < 2.5


def test_sound_that_goes_on_does_not_hide_that_the_video_stopped() -> None:
    content = clip(1.0, 30.0)

    def live(request: BaseHTTPRequestHandler, stop: threading.Event) -> None:
        half = len(content) // 2
        request.wfile.write(content[:half])
        for start in range(half, len(content), 1880):
            request.wfile.write(content[start : start + 1880])
            if stop.wait(0.05):
                return

    with serving(live) as server:
        packets, error, took_s = read_all(f"http://127.0.0.1:{server.server_port}/live")
    assert 20 <= packets <= 25
    assert type(error) is SourceStalled
    assert 0.9 < took_s < 2.5


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
