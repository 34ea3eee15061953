"""Plays a clip as a live HLS stream on loopback. One thread serves, and one per request in progress."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import av

_REQUEST_TIMEOUT_S = 5.0
"""How long a client may hold a request open without reading, so how long `close()` may wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One piece of the stream: its MPEG-TS file, and when it begins and ends in seconds since the stream began."""

    file: Path
    start_s: float
    end_s: float
    discontinuity: bool


def cut_segments(clip: Path, folder: Path, segment_s: float) -> list[tuple[Path, float]]:
    """Cuts `clip` at key frames into MPEG-TS files of at least `segment_s` seconds each, without transcoding.

    Returns the files with their durations in seconds. Raises av.FFmpegError where the clip cannot be read.
    """
    playlist = folder / "all.m3u8"
    options = {"hls_time": str(segment_s), "hls_list_size": "0", "hls_segment_filename": str(folder / "%04d.ts")}
    with av.open(str(clip)) as source, av.open(str(playlist), "w", format="hls", options=options) as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    lines = playlist.read_text(encoding="utf-8").splitlines()
    durations = [float(line.removeprefix("#EXTINF:").rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
    files = [folder / line for line in lines if line and not line.startswith("#")]
    return list(zip(files, durations, strict=True))


def lay_out(pieces: Sequence[tuple[Path, float]], loop: int) -> list[Segment]:
    """All segments of the whole stream: the pieces `loop` times over, a discontinuity where the clip begins again."""
    segments: list[Segment] = []
    start_s = 0.0
    for turn in range(loop):
        for index, (file, duration_s) in enumerate(pieces):
            again = turn > 0 and index == 0
            segments.append(Segment(file=file, start_s=start_s, end_s=start_s + duration_s, discontinuity=again))
            start_s += duration_s
    return segments


def playlist_at(segments: Sequence[Segment], elapsed_s: float, window: int, started_at: datetime) -> str:
    """The live playlist `elapsed_s` seconds into the stream: the last `window` segments that are complete by then."""
    complete = sum(segment.end_s <= elapsed_s for segment in segments)
    first = max(0, complete - window)
    longest_s = max(segment.end_s - segment.start_s for segment in segments)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        f"#EXT-X-TARGETDURATION:{math.ceil(longest_s)}",
        f"#EXT-X-MEDIA-SEQUENCE:{first}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{sum(segment.discontinuity for segment in segments[:first])}",
    ]
    for number, segment in enumerate(segments[first:complete], start=first):
        program_at = started_at + timedelta(seconds=segment.start_s)
        lines += ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{program_at.isoformat(timespec='milliseconds')}",
            f"#EXTINF:{segment.end_s - segment.start_s:.6f},",
            f"{number}.ts",
        ]
    lines += ["#EXT-X-ENDLIST"] if complete == len(segments) else []
    return "\n".join(lines) + "\n"


class LiveHls:
    """A live HLS stream of `clip`, `loop` times over, its playlist `window` segments long. Also a context manager.

    The first segment is there at once, as if the stream had begun that much earlier: `started_at` (UTC) is when the
    clip's first frame was shown. `url` is the playlist's.
    """

    def __init__(self, clip: Path, segment_s: float = 2.0, window: int = 5, loop: int = 1) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="live-hls-")
        try:
            self._segments = lay_out(cut_segments(clip, Path(self._folder.name), segment_s), loop)
            self._server = _Server(self)
        except BaseException:
            self._folder.cleanup()
            raise
        self._window = window
        self._began_s = time.monotonic() - self._segments[0].end_s
        self.started_at = datetime.now(UTC) - timedelta(seconds=self._segments[0].end_s)
        self.url = f"http://127.0.0.1:{self._server.server_port}/live.m3u8"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="live-hls")
        self._thread.start()

    def close(self) -> None:
        """Stops serving and waits for every thread. May be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_REQUEST_TIMEOUT_S)
        self._folder.cleanup()

    def body(self, path: str) -> tuple[str, bytes] | None:
        """The content type and bytes at `path` now, or None where there is nothing (yet)."""
        elapsed_s = time.monotonic() - self._began_s
        if path == "/live.m3u8":
            text = playlist_at(self._segments, elapsed_s, self._window, self.started_at)
            return "application/vnd.apple.mpegurl", text.encode()
        number = path.removeprefix("/").removesuffix(".ts")
        if not number.isdecimal() or int(number) >= len(self._segments):
            return None
        segment = self._segments[int(number)]
        return ("video/mp2t", segment.file.read_bytes()) if segment.end_s <= elapsed_s else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that `server_close()` joins them

    def __init__(self, stream: LiveHls) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.stream = stream


class _Request(BaseHTTPRequestHandler):
    timeout = _REQUEST_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        answer = self.server.stream.body(urlsplit(self.path).path)
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        kind, body = answer
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            self.wfile.write(body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the viewer left, which a live stream's viewers do

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing: a request per segment and viewer is not news."""
