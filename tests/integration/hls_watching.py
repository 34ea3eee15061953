"""HLS streams made of small clips, and a look at what comes of them: pictures, runs, times and the error at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path
from threading import Event

import av
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from sample_streams.live_hls import cut_segments
from streammon.errors import SourceError
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.opening import open_source
from streammon.ingest.source import Run, SourceRequest
from tests.integration.scripted_http import Page, Reply, Talk
from tests.media import RATE

CONFIG = IngestConfig.model_validate(
    {"open_timeout": 2.0, "stall_after": 2.0, "allow_networks": ["127.0.0.1/32"], "max_height": 720}
)
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:0.1\n"
END = "#EXT-X-ENDLIST\n"


@dataclass(slots=True)
class Watched:
    """What came: per run its pictures as (number in the clip, width, height); per packet its times."""

    runs: list[list[tuple[int, int, int]]] = field(default_factory=list)
    program_at: list[datetime | None] = field(default_factory=list)
    received_s: list[float] = field(default_factory=list)
    lag_s: list[float | None] = field(default_factory=list)
    error: SourceError | None = None

    @property
    def numbers(self) -> list[list[int]]:
        """The pictures' numbers per run."""
        return [[number for number, _, _ in run] for run in self.runs]


def watch(
    url: str, config: IngestConfig = CONFIG, *, resumed: bool = False, stop: Event | None = None, first: int = 1 << 30
) -> Watched:
    """Watches until the stream ends, or its `first` pictures have come."""
    watched = Watched()
    try:
        request = SourceRequest(url=url, headers={}, resumed=resumed)
        with closing(open_source(request, config, stop if stop is not None else Event())) as source:
            _watch_runs(source.runs(), watched, first)
    except SourceError as error:
        watched.error = error
    return watched


def _watch_runs(runs: Iterator[Run], watched: Watched, first: int) -> None:
    for run in runs:
        watched.runs.append([])
        decoder = run.stream.codec_context
        for received in run.packets():
            watched.program_at.append(received.program_at)
            watched.received_s.append(received.received_s)
            watched.lag_s.append(received.lag_s)
            watched.runs[-1] += [_seen(picture) for picture in decoder.decode(received.packet)]
            if sum(map(len, watched.runs)) >= first:
                return
        watched.runs[-1] += [_seen(picture) for picture in decoder.decode(None)]


def _seen(picture: av.VideoFrame) -> tuple[int, int, int]:
    brightness = bytes(picture.planes[0])[0]
    return round((brightness - 16) / 2), picture.width, picture.height


@cache
def ts_segments() -> list[bytes]:
    """Four of a second each, of one clip: 25 pictures in each, numbered on."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.ts"
        file.write_bytes(coded("libx264", 160, 90, 4.0))
        return [piece.read_bytes() for piece, _ in cut_segments(file, Path(folder), 1.0)]


@cache
def coded(codec: str, width: int, height: int, lasts_s: float = 1.0) -> bytes:
    """MPEG-TS with a key frame a second. Picture n is grey of brightness 16 + 2n, so there are at most 110."""
    file = BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        options = {"g": str(RATE), "bf": "0", "sc_threshold": "0", "qp": "4", "x265-params": "log-level=none"}
        video = out.add_stream(codec, rate=RATE, options=options)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(round(lasts_s * RATE)):
            picture = av.VideoFrame(width, height, "yuv420p")
            for plane, value in zip(picture.planes, (16 + 2 * number, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return file.getvalue()


@cache
def fmp4(codec: str, width: int, height: int, lasts_s: float = 1.0) -> tuple[bytes, list[bytes]]:
    """The init section of fragmented MP4, and its segments of a second each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = {"hls_time": "1", "hls_segment_type": "fmp4", "hls_segment_filename": str(folder / "%d.m4s")}
        with (
            av.open(BytesIO(coded(codec, width, height, lasts_s))) as source,
            av.open(str(folder / "all.m3u8"), "w", format="hls", options=options) as out,
        ):
            assert isinstance(source, InputContainer)
            assert isinstance(out, OutputContainer)
            stream = out.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    out.mux(packet)
        return (folder / "init.mp4").read_bytes(), [file.read_bytes() for file in sorted(folder.glob("*.m4s"))]


def encrypted(content: bytes, key: bytes, iv: bytes) -> bytes:
    """AES-128 as HLS means it."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def text(content: str) -> Reply:
    return Reply(body=content.encode())


def segments(*paths: str) -> str:
    """The lines of segments of 0.2 s."""
    return "".join(f"#EXTINF:0.2,\n{path}\n" for path in paths)


def growing(versions: Sequence[str]) -> Page:
    """A playlist that is another each time it is asked for; the last stays."""
    asked = iter([*versions[:-1]])

    def page(talk: Talk) -> Reply:
        return text(next(asked, versions[-1]))

    return page
