"""Opens containers with PyAV and takes the video packets out of them; translates what goes wrong.

Only containers of streams and clips are read, and FFmpeg opens nothing by itself but what it is handed. No picture of
a modern codec is decoded to learn what a stream is: its headers tell that, and may ask for any amount of memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from threading import Event
from typing import Any, cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streammon.errors import SourceError, SourceHasNoVideo, SourceStalled
from streammon.ingest.media.bounds import USUAL_BOUNDS, Bounds
from streammon.ingest.media.ffmpeg_errors import open_error, read_error
from streammon.ingest.net.pulled import count_pulled
from streammon.ingest.source import Received

# FFmpeg's other demuxers show a text file as pictures, open what a script names, or give pictures without times.
FORMATS = "flv,live_flv,mpegts,mpeg,mov,matroska,avi,ogg,aac,mp3,ac3,eac3"
_PROBING = {
    "format_whitelist": FORMATS,
    # The frame rate is of no use here, and to count frames for it would take a second of every live stream's time.
    "fpsprobesize": "0",
    # What may be decoded to learn what a stream is: sound, and pictures of which mp4 does not say how large they are,
    # all of them codecs whose pictures cannot be huge. Where streams appear later on, such a decoder heeds no bound.
    "codec_whitelist": "aac,aac_latm,ac3,eac3,mp2,mp2float,mp3,mp3float,opus,vorbis,h261,h263,mpeg4",
}
LONGEST_PAUSE_S = 30.0
"""A file's clock that leaps ahead by more than this is played on at once."""
# What carries these need not say how large the pictures are: FLV does not.
_SIZED_BY_PICTURES = frozenset({"vp8", "vp9"})
# Decoders count margins of their own to a picture's pixels.
_DECODER_MARGIN = 2

Stamp = Callable[["av.Packet[VideoStream]"], Received]


def stamped_now(packet: av.Packet[VideoStream]) -> Received:
    """A packet that has come just now, over FFmpeg's own connection, of which no more is known."""
    count_pulled(packet.size)
    return Received(packet=packet, received_at=datetime.now(UTC), received_s=time.monotonic())


class DemuxedRun:
    """One container's video; see `Run`. Raises SourceTooLarge where its picture is over the bounds.

    `stall_after_s`: no video for so long, whatever else comes, raises SourceStalled; None: never. `pace`: packets are
    held back until their time, so that a file is watched as if it were live.
    """

    def __init__(
        self,
        container: InputContainer,
        stop: Event,
        stamp: Stamp,
        *,
        stall_after_s: float | None,
        pace: bool,
        bounds: Bounds = USUAL_BOUNDS,
    ) -> None:
        self._container = container
        self._stop = stop
        self._stamp = stamp
        self._stall_after_s = stall_after_s
        self._bounds = bounds
        self.skipped_s = 0.0
        video = next((stream for stream in container.streams.video if decodable(stream)), None)
        if video is None:
            raise SourceHasNoVideo("the stream has no video that can be decoded; publish H.264, HEVC, VP9 or AV1 video")
        if video.codec_context.width:
            bounds.check_picture(video.codec_context.width, video.codec_context.height)
        self.stream: VideoStream = video
        # The engine's cores belong to the detectors, and frame threads would hold pictures back.
        self.stream.thread_type = "NONE"
        video.codec_context.options = {"max_pixels": _most_pixels(bounds)}
        self._pace = _Pace(Fraction(video.time_base or Fraction(1, 90_000))) if pace else None

    def packets(self) -> Iterator[Received]:
        """See `Run`."""
        seen_s = time.monotonic()
        try:
            for packet in self._container.demux():
                if self._stop.is_set():
                    return
                self._check_bounds(packet.size)
                if packet.stream_index != self.stream.index:
                    self._check_video_flows(seen_s)
                elif packet.size > 0:
                    video = cast("av.Packet[VideoStream]", packet)
                    yield self._paced(video, self._pace) if self._pace is not None else self._stamp(video)
                    seen_s = time.monotonic()
        except SourceError:
            raise
        except Exception as error:
            raise read_error(error) from error

    def _paced(self, packet: av.Packet[VideoStream], pace: _Pace) -> Received:
        """Held back until its time, which is when it comes: that its bytes lay here before makes it no older."""
        pace.wait(packet, self._stop)
        now = stamped_now(packet)
        return replace(self._stamp(packet), received_at=now.received_at, received_s=now.received_s, lag_s=0.0)

    def _check_bounds(self, packet_bytes: int) -> None:
        """Of a packet, and of the picture that the decoder has come to: one that is too large it refuses by itself."""
        self._bounds.check_packet(packet_bytes)
        decoder = self.stream.codec_context
        if decoder.is_open:
            self._bounds.check_picture(decoder.width, decoder.height)

    def _check_video_flows(self, seen_s: float) -> None:
        if self._stall_after_s is not None and time.monotonic() - seen_s > self._stall_after_s:
            raise SourceStalled("the sound goes on, but no video came any more; it is tried again")


def open_container(
    file: Any,
    *,
    options: dict[str, str],
    timeout: tuple[float, float] | None = None,
    container: str | None = None,
    bounds: Bounds = USUAL_BOUNDS,
) -> InputContainer:
    """A container opened from a URL, a path or a file object. Raises SourceError.

    `container` is the format's name where it is known. `timeout` is the longest wait, in seconds, for FFmpeg to connect
    and to learn what the stream is, and for any read after that.
    """
    waits = (_Left(timeout[0]), timeout[1]) if timeout is not None else None
    told = {**_PROBING, "max_pixels": _most_pixels(bounds), **options}
    try:
        opened: InputContainer = av.open(file, format=container, timeout=cast("Any", waits), options=told)
    except SourceError:
        raise
    except Exception as error:
        raise open_error(error, timeout[0] if timeout is not None else 0.0) from error
    return opened


def decodable(stream: VideoStream) -> bool:
    """Whether this FFmpeg has a decoder for the stream, and pictures were seen of it: so its size is known, mostly."""
    # A codec that it does not have leaves None behind, whatever the type stubs say.
    context = getattr(stream, "codec_context", None)
    return context is not None and (bool(context.width) or context.name in _SIZED_BY_PICTURES)


def _most_pixels(bounds: Bounds) -> str:
    return str(bounds.picture_px * _DECODER_MARGIN)


class _Left:
    """The seconds that are left of `seconds`: PyAV asks for the number anew for each wait in an opening."""

    def __init__(self, seconds: float) -> None:
        self._until_s = time.monotonic() + seconds

    def __float__(self) -> float:
        return max(0.0, self._until_s - time.monotonic())


class _Pace:
    """Holds packets back until their time."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._start_s: float | None = None

    def wait(self, packet: av.Packet[VideoStream], stop: Event) -> None:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return
        due_s = float(stamp * self._time_base)
        if self._start_s is None:
            self._start_s = time.monotonic() - due_s
        delay_s = self._start_s + due_s - time.monotonic()
        if delay_s > LONGEST_PAUSE_S:
            self._start_s = time.monotonic() - due_s
        elif delay_s > 0:
            stop.wait(delay_s)
