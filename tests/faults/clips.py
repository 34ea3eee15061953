"""The media that rows play, made by FFmpeg and then, where a row wants that, spoiled by hand. Each is made once."""

from __future__ import annotations

import random
import tempfile
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av
from av.video.stream import VideoStream

from sample_streams.live_hls import cut_segments
from tests.media import HEIGHT, RATE, WIDTH

FLV_HEAD_BYTES = 13
_TAG_HEAD_BYTES = 11
_TAG_LENGTH_BYTES = 4
_TS_PACKET_BYTES = 188
_VIDEO_TAG, _SCRIPT_TAG = 9, 18
_TS_CLOCK = 90_000
_TS_WRAPS_S = 2**33 / _TS_CLOCK
OTHER_WIDTH, OTHER_HEIGHT = 320, 180


@cache
def encoded(codec: str, container: str, *, width: int = WIDTH, height: int = HEIGHT, lasts_s: float = 4.0) -> bytes:
    """Video of one grey after the other, with a key frame a second and no B-frames."""
    file = BytesIO()
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if container == "mp4" else {}
    with av.open(file, "w", format=container, options=options) as out:
        coding = {"g": str(RATE), "bf": "0", "sc_threshold": "0", "preset": "ultrafast"}
        video = out.add_stream(codec, rate=RATE, options={**coding, "x265-params": "log-level=none"})
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(round(lasts_s * RATE)):
            picture = av.VideoFrame(width, height, "yuv420p")
            for plane, value in zip(picture.planes, (16 + 2 * number % 200, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return file.getvalue()


@cache
def pieces(codec: str = "libx264", width: int = WIDTH, height: int = HEIGHT, offset_s: float = 0.0) -> list[bytes]:
    """Four HLS segments of a second each, one after the other; the first begins `offset_s` on the stream's clock."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "clip.ts"
        file.write_bytes(encoded(codec, "mpegts", width=width, height=height))
        cut = [piece.read_bytes() for piece, _ in cut_segments(file, Path(folder), 1.0)]
    return [_shifted(piece, offset_s) for piece in cut] if offset_s else cut


def wrapping() -> list[bytes]:
    """Segments in whose third the 33 bits of MPEG-TS's clock run over."""
    return pieces(offset_s=_TS_WRAPS_S - 2.5)


def _shifted(content: bytes, by_s: float) -> bytes:
    return b"".join(
        _shifted_packet(content[at : at + _TS_PACKET_BYTES], by_s) for at in range(0, len(content), _TS_PACKET_BYTES)
    )


def _shifted_packet(packet: bytes, by_s: float) -> bytes:
    """The TS packet with the clock of its PES header, if one begins in it, moved on; see ISO 13818-1, 2.4.3.6."""
    starts_pes = packet[1] & 0x40
    adapted = packet[4] + 1 if packet[3] & 0x20 else 0
    at = 4 + adapted
    if not starts_pes or packet[at : at + 3] != b"\x00\x00\x01":
        return packet
    moved = bytearray(packet)
    for number in range((packet[at + 7] >> 6).bit_count()):
        field = at + 9 + 5 * number
        stamp = _read_stamp(packet[field : field + 5]) + round(by_s * _TS_CLOCK)
        moved[field : field + 5] = _write_stamp(packet[field] & 0xF0, stamp % 2**33)
    return bytes(moved)


def _read_stamp(field: bytes) -> int:
    high, middle, low = field[0] >> 1 & 0x07, int.from_bytes(field[1:3], "big") >> 1, int.from_bytes(field[3:5], "big")
    return high << 30 | middle << 15 | low >> 1


def _write_stamp(kind: int, stamp: int) -> bytes:
    parts = ((stamp >> 15 & 0x7FFF) << 1 | 1, (stamp & 0x7FFF) << 1 | 1)
    return bytes([kind | stamp >> 30 << 1 | 1]) + b"".join(part.to_bytes(2, "big") for part in parts)


def flv(codec: str = "libx264", width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """FLV with a key frame a second."""
    return encoded(codec, "flv", width=width, height=height)


def flv_in_a_row(first: bytes, second: bytes) -> bytes:
    """One FLV stream that goes over from one encoding to another, the second's clock going on from the first's."""
    last_ms = max(_tag_time(tag) for tag in flv_tags(first))
    second_tags = [tag for tag in flv_tags(second) if tag[0] != _SCRIPT_TAG]  # it would be taken for subtitles
    moved = [_at_time(tag, _tag_time(tag) + last_ms + 1000 // RATE) for tag in second_tags]
    return first + b"".join(moved)


def flv_from(content: bytes, start_ms: int) -> bytes:
    """The stream with its clock so much later, which may run over the 32 bits that FLV has for it."""
    tags = [_at_time(tag, (_tag_time(tag) + start_ms) % 2**32) for tag in flv_tags(content)]
    return content[:FLV_HEAD_BYTES] + b"".join(tags)


def flv_tags(content: bytes) -> list[bytes]:
    """The stream's tags, each with the length that follows it."""
    tags, at = [], FLV_HEAD_BYTES
    while at < len(content):
        size = _TAG_HEAD_BYTES + int.from_bytes(content[at + 1 : at + 4], "big") + _TAG_LENGTH_BYTES
        tags.append(content[at : at + size])
        at += size
    return tags


def tag_times_s(tags: list[bytes]) -> list[float]:
    """When each tag is due, in seconds since the first; the clock may run over its 32 bits."""
    first_ms = _tag_time(tags[0])
    return [(_tag_time(tag) - first_ms) % 2**32 / 1000 for tag in tags]


def _tag_time(tag: bytes) -> int:
    """In milliseconds; the highest byte stands last."""
    return tag[7] << 24 | int.from_bytes(tag[4:7], "big")


def _at_time(tag: bytes, time_ms: int) -> bytes:
    return tag[:4] + (time_ms & 0xFFFFFF).to_bytes(3, "big") + bytes([time_ms >> 24]) + tag[8:]


@cache
def noise(size: int) -> bytes:
    """Always the same bytes, that are nothing."""
    return random.Random(3).randbytes(size)  # noqa: S311 - not for a secret


def corrupt(content: bytes, *, keep: int) -> bytes:
    """From byte `keep` on each third stretch of 100 bytes is noise."""
    spoiled = bytearray(content)
    for at in range(keep, len(content) - 100, 300):
        spoiled[at : at + 100] = noise(100)
    return bytes(spoiled)


def unknown_flv_codec(content: bytes) -> bytes:
    """FLV whose video is of a codec that nobody has; see Adobe's FLV specification, E.4.3.1."""
    spoiled = [_with_codec(tag, 15) if tag[0] == _VIDEO_TAG else tag for tag in flv_tags(content)]
    return content[:FLV_HEAD_BYTES] + b"".join(spoiled)


def _with_codec(tag: bytes, number: int) -> bytes:
    return tag[:_TAG_HEAD_BYTES] + bytes([tag[_TAG_HEAD_BYTES] & 0xF0 | number]) + tag[_TAG_HEAD_BYTES + 1 :]


@cache
def huge_picture() -> bytes:
    """Two pictures of one colour and 7680x4320: some kilobytes that want 100 MB each."""
    file = BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        video = out.add_stream(
            "libx264", rate=2, options={"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
        )
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 7680, 4320, "yuv420p"
        for number in range(2):
            picture = av.VideoFrame(7680, 4320, "yuv420p")
            for plane, value in zip(picture.planes, (60, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            picture.pts, picture.time_base = number, Fraction(1, 2)
            out.mux(video.encode(picture))
        out.mux(video.encode(None))
    return file.getvalue()
