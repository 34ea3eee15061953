"""One connection to one stream: opens it with PyAV, hands on its video packets, translates what goes wrong.

Used by one thread at a time, the room's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from typing import Self, cast
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streammon.errors import (
    SourceEnded,
    SourceError,
    SourceHasNoVideo,
    SourceNotMedia,
    SourceStalled,
    SourceUnreachable,
)
from streammon.ingest.config import IngestConfig

LIVE_SCHEMES = frozenset({"rtmp", "rtmps", "http", "https"})

# Small probes open RTMP in half a second instead of nearly three; they may find no stream, then FFmpeg's own are used.
_QUICK_PROBE = {"probesize": "500000", "analyzeduration": "700000"}

# FFmpeg's other demuxers show a text file as pictures, open what a script names, or give pictures without times. The
# last row are what an HLS playlist may name beside video.
_FORMATS = "hls,flv,live_flv,mpegts,mpeg,mov,matroska,avi,ogg,aac,mp3,ac3,eac3,webvtt"
# A file whose clock leaps ahead by more than this is played on at once.
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """What to open. `url` without a live scheme is a file, played at its own pace."""

    url: str
    headers: Mapping[str, str]

    @property
    def live(self) -> bool:
        """Whether the end of this stream is a disconnect rather than its end."""
        return urlsplit(self.url).scheme.lower() in LIVE_SCHEMES


class Source:
    """An open stream. `stream` is its first video stream.

    Raises SourceError on every failure, with a message that holds no part of the URL.
    """

    def __init__(self, request: SourceRequest, config: IngestConfig) -> None:
        self._live = request.live
        self._stall_after_s = config.stall_after
        self._container = _open(request, config)
        video = next((stream for stream in self._container.streams.video if _decodable(stream)), None)
        if video is None:
            self.close()
            raise SourceHasNoVideo("the stream has no video that can be decoded; publish H.264, HEVC, VP9 or AV1 video")
        self.stream: VideoStream = video
        # The engine's cores belong to the detectors, and frame threads would hold pictures back.
        self.stream.thread_type = "NONE"
        self.time_base = Fraction(self.stream.time_base or Fraction(1, 90_000))

    def packets(self, stop: Event) -> Iterator[av.Packet[VideoStream]]:
        """The video packets as they come. A file's come at the pace of its time stamps, a live stream's at once.

        Raises SourceEnded where a live stream ends, SourceStalled where no video came for `stall_after`, whatever else
        did; returns at a file's end, and soon after `stop` is set.
        """
        pace = None if self._live else _Pace(self.time_base)
        seen_s = time.monotonic()
        try:
            for packet in self._container.demux():
                if stop.is_set():
                    return
                if packet.stream_index != self.stream.index:
                    self._check_video_flows(seen_s)
                elif packet.size > 0:
                    video = cast("av.Packet[VideoStream]", packet)
                    if pace is not None:
                        pace.wait(video, stop)
                    yield video
                    seen_s = time.monotonic()
        except SourceError:
            raise
        except Exception as error:
            raise _translate_read(error) from error
        if self._live:
            raise SourceEnded("the publisher left; it is tried again")

    def _check_video_flows(self, seen_s: float) -> None:
        if self._live and time.monotonic() - seen_s > self._stall_after_s:
            raise SourceStalled("the sound goes on, but no video came any more; it is tried again")

    def close(self) -> None:
        """Closes the connection. May be called twice."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(request: SourceRequest, config: IngestConfig) -> InputContainer:
    options = {"http_persistent": "0", "format_whitelist": _FORMATS}
    if request.headers:
        options["headers"] = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    timeout = (config.open_timeout, config.stall_after) if request.live else None
    probes: list[dict[str, str]] = [_QUICK_PROBE, {}] if request.live else [{}]
    for probe in probes:
        try:
            container = av.open(request.url, timeout=timeout, options={**options, **probe})
        except Exception as error:
            raise _translate_open(error, request, config) from error
        if any(_decodable(stream) for stream in container.streams.video) or probe is probes[-1]:
            return container
        container.close()
    raise AssertionError("unreachable: the last probe returns or raises")


def _decodable(stream: VideoStream) -> bool:
    # A codec that this FFmpeg does not have leaves None behind, whatever the type stubs say.
    context = getattr(stream, "codec_context", None)
    return context is not None and bool(context.width)


def _translate_open(error: Exception, request: SourceRequest, config: IngestConfig) -> SourceError:
    if isinstance(error, FileNotFoundError) and not request.live:
        return SourceUnreachable("no such file; give a path, or an rtmp://, http:// or https:// URL")
    why = getattr(error, "strerror", None) or type(error).__name__
    if isinstance(error, OSError) and not request.live:
        return SourceUnreachable(f"the file cannot be read: {why}; give a video file that streammon may read")
    for types, kind, message in _OPEN_ERRORS:
        if isinstance(error, types):
            return kind(message.format(why=why, timeout=config.open_timeout))
    return SourceNotMedia(f"cannot be opened: {why}; check that the URL is a stream")


def _translate_read(error: Exception) -> SourceError:
    if isinstance(error, av.error.ExitError):
        return SourceStalled("connected, but nothing came any more; it is tried again")
    why = getattr(error, "strerror", None) or type(error).__name__
    return SourceEnded(f"the stream broke off: {why}; it is tried again")


# What FFmpeg and PyAV raise at open, first match first.
_OPEN_ERRORS: tuple[tuple[tuple[type[Exception], ...], type[SourceError], str], ...] = (
    (
        (av.error.ExitError,),
        SourceUnreachable,
        "nothing came within {timeout:g} s; check the address and that it is live",
    ),
    (
        (av.error.HTTPError, av.error.HTTPClientError),
        SourceUnreachable,
        "the server answered: {why}; check the path and the credentials",
    ),
    (
        (PermissionError,),
        SourceUnreachable,
        "the server refused the stream; check its name, its key and that it is being published",
    ),
    (
        (av.error.InvalidDataError, av.error.EOFError, IndexError, ValueError),
        SourceNotMedia,
        "the answer is no stream that FFmpeg knows; check that the URL is the stream, not a page",
    ),
    (
        (OSError,),
        SourceUnreachable,
        "cannot connect: {why}; check host, port and network",
    ),
)


class _Pace:
    """Holds a file's packets back until their time, so that a file is watched as if it were live."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._start_s: float | None = None

    def wait(self, packet: av.Packet[VideoStream], stop: Event) -> None:
        if packet.dts is None:
            return
        due_s = float(packet.dts * self._time_base)
        if self._start_s is None:
            self._start_s = time.monotonic() - due_s
        delay_s = self._start_s + due_s - time.monotonic()
        if delay_s > _LONGEST_PAUSE_S:
            self._start_s = time.monotonic() - due_s
        elif delay_s > 0:
            stop.wait(delay_s)
