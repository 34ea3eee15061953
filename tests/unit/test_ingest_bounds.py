"""What is larger than a stream's parts may be is refused: at open, in mid-stream, and before it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from io import BytesIO
from threading import Event

import av
import pytest
from av.video.stream import VideoStream

from streammon.errors import SourceTooLarge
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.bounds import USUAL_BOUNDS, Bounds
from streammon.ingest.media.demux import DemuxedRun, open_container, stamped_now

SMALL, LARGE = (160, 96), (640, 360)
OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "mpeg2video": {},
    "mpeg4": {},
}


def video(codec: str, container: str, size: tuple[int, int], first: int = 0, pictures: int = 6) -> bytes:
    """Grey pictures 25 a second, the first of which has this number."""
    file = BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=25, options=OPTIONS[codec])
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        picture = av.VideoFrame(*size, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes([99]) * plane.buffer_size)
        for number in range(first, first + pictures):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return file.getvalue()


class Pipe:
    """Bytes that cannot be sought in, as a stream's."""

    def __init__(self, content: bytes) -> None:
        self.read = BytesIO(content).read


def decoded(content: bytes, bounds: Bounds) -> Iterator[tuple[int, int]]:
    """The sizes of a stream's pictures, as a room's thread decodes them."""
    with open_container(Pipe(content), options={}, bounds=bounds) as container:
        run = DemuxedRun(container, Event(), stamped_now, stall_after_s=None, pace=False, bounds=bounds)
        for received in run.packets():
            try:
                pictures = run.stream.codec_context.decode(received.packet)
            except av.error.FFmpegError:
                continue
            yield from ((picture.width, picture.height) for picture in pictures)


def bounded(size: tuple[int, int], *, packet_bytes: int = 1 << 20) -> Bounds:
    return Bounds(picture_px=size[0] * size[1], packet_bytes=packet_bytes)


CARRIED = [
    ("libx264", "mpegts"),
    ("libx264", "flv"),
    ("libx264", "mp4"),
    ("libx264", "matroska"),
    ("libx265", "mpegts"),
    ("libx265", "flv"),
    ("libvpx-vp9", "flv"),
    ("libvpx-vp9", "matroska"),
    ("mpeg2video", "mpegts"),
    ("mpeg4", "mpegts"),
    ("mpeg4", "mp4"),
    ("mpeg4", "avi"),
]


@pytest.mark.parametrize(("codec", "container"), CARRIED)
def test_a_picture_of_just_so_many_pixels_is_decoded_and_one_of_more_is_not(codec: str, container: str) -> None:
    # This kind of mp4 can be read from a pipe.
    content = video(codec, "ismv" if container == "mp4" else container, LARGE)
    assert set(decoded(content, bounded(LARGE))) == {LARGE}
    with pytest.raises(SourceTooLarge, match="max_picture_px"):
        list(decoded(content, bounded((LARGE[0], LARGE[1] - 1))))


def joined(codec: str, container: str, *sizes: tuple[int, int]) -> bytes:
    """A stream whose picture changes its size as it goes on."""
    header = 13 if container == "flv" else 0
    parts = [video(codec, container, size, first=6 * number) for number, size in enumerate(sizes)]
    return parts[0] + b"".join(part[header:] for part in parts[1:])


@pytest.mark.parametrize(
    ("codec", "container"),
    [("libx264", "mpegts"), ("libx264", "flv"), ("libx265", "mpegts"), ("libx265", "flv"), ("libvpx-vp9", "flv"),
     ("mpeg2video", "mpegts")],
)  # fmt: skip
def test_a_picture_that_grows_over_the_bound_ends_the_stream_undecoded(codec: str, container: str) -> None:
    content = joined(codec, container, SMALL, LARGE, SMALL)
    assert {SMALL, LARGE} == set(decoded(content, bounded(LARGE)))
    sizes: list[tuple[int, int]] = []
    with pytest.raises(SourceTooLarge, match="max_picture_px"):
        sizes.extend(decoded(content, bounded(SMALL)))  # what came before the error is in it
    assert set(sizes) == {SMALL}


def test_a_packet_that_is_too_long_ends_the_stream() -> None:
    content = video("libx264", "mpegts", LARGE, pictures=2)
    longest = max(len(packet) for packet in packets(content))
    assert len(list(decoded(content, bounded(LARGE, packet_bytes=longest)))) == 2
    with pytest.raises(SourceTooLarge, match="max_packet_bytes"):
        list(decoded(content, bounded(LARGE, packet_bytes=longest - 1)))


def packets(content: bytes) -> list[bytes]:
    with av.open(BytesIO(content), "r") as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def test_the_bounds_are_what_is_configured() -> None:
    config = IngestConfig(max_picture_px=20_000, max_packet_bytes=1 << 17)
    assert Bounds.of(config) == Bounds(picture_px=20_000, packet_bytes=1 << 17)
    assert Bounds.of(IngestConfig()) == USUAL_BOUNDS


@pytest.mark.parametrize(
    ("width", "height", "fits"), [(4096, 2304, True), (4096, 2305, False), (0, 0, False), (1 << 31, 1 << 31, False)]
)
def test_a_picture_of_no_size_is_one_that_a_decoder_refused(width: int, height: int, fits: bool) -> None:
    with nullcontext() if fits else pytest.raises(SourceTooLarge, match="; "):
        USUAL_BOUNDS.check_picture(width, height)
