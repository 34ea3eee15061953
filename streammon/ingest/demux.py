"""Opens containers with PyAV and takes the video packets out of them; translates what goes wrong.

Only containers of streams and clips are read, and FFmpeg opens nothing by itself but what it is handed.
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

from streammon.errors import (
    SourceEnded,
    SourceError,
    SourceHasNoVideo,
    SourceNotMedia,
    SourceStalled,
    SourceUnreachable,
)
from streammon.ingest.source import Received

# FFmpeg's other demuxers show a text file as pictures, open what a script names, or give pictures without times.
FORMATS = "flv,live_flv,mpegts,mpeg,mov,matroska,avi,ogg,aac,mp3,ac3,eac3"
# The frame rate is of no use here, and to count frames for it would take a second of every live stream's time.
_NO_RATE = {"fpsprobesize": "0"}
# A clock that leaps ahead by more than this is played on at once.
_LONGEST_PAUSE_S = 30.0

Stamp = Callable[["av.Packet[VideoStream]"], Received]


def stamped_now(packet: av.Packet[VideoStream]) -> Received:
    """A packet that has come just now."""
    return Received(packet=packet, received_at=datetime.now(UTC), received_s=time.monotonic())


class DemuxedRun:
    """One container's video; see `Run`.

    `stall_after_s`: no video for so long, whatever else comes, raises SourceStalled; None: never. `pace`: packets are
    held back until their time, so that a file is watched as if it were live.
    """

    def __init__(
        self, container: InputContainer, stop: Event, stamp: Stamp, *, stall_after_s: float | None, pace: bool
    ) -> None:
        self._container = container
        self._stop = stop
        self._stamp = stamp
        self._stall_after_s = stall_after_s
        video = next((stream for stream in container.streams.video if decodable(stream)), None)
        if video is None:
            raise SourceHasNoVideo("the stream has no video that can be decoded; publish H.264, HEVC, VP9 or AV1 video")
        self.stream: VideoStream = video
        # The engine's cores belong to the detectors, and frame threads would hold pictures back.
        self.stream.thread_type = "NONE"
        self._pace = _Pace(Fraction(video.time_base or Fraction(1, 90_000))) if pace else None

    def packets(self) -> Iterator[Received]:
        """See `Run`."""
        seen_s = time.monotonic()
        try:
            for packet in self._container.demux():
                if self._stop.is_set():
                    return
                if packet.stream_index != self.stream.index:
                    self._check_video_flows(seen_s)
                elif packet.size > 0:
                    video = cast("av.Packet[VideoStream]", packet)
                    yield self._paced(video, self._pace) if self._pace is not None else self._stamp(video)
                    seen_s = time.monotonic()
        except SourceError:
            raise
        except Exception as error:
            raise _translate_read(error) from error

    def _paced(self, packet: av.Packet[VideoStream], pace: _Pace) -> Received:
        """Held back until its time, which is when it comes: that its bytes lay here before makes it no older."""
        pace.wait(packet, self._stop)
        now = stamped_now(packet)
        return replace(self._stamp(packet), received_at=now.received_at, received_s=now.received_s)

    def _check_video_flows(self, seen_s: float) -> None:
        if self._stall_after_s is not None and time.monotonic() - seen_s > self._stall_after_s:
            raise SourceStalled("the sound goes on, but no video came any more; it is tried again")


def open_container(
    file: Any, *, options: dict[str, str], timeout: tuple[float, float] | None = None, container: str | None = None
) -> InputContainer:
    """A container opened from a URL, a path or a file object. Raises SourceError.

    `container` is the format's name where it is known. `timeout` is FFmpeg's own for opening and reading, in seconds.
    """
    try:
        opened: InputContainer = av.open(
            file, format=container, timeout=timeout, options={"format_whitelist": FORMATS, **_NO_RATE, **options}
        )
    except SourceError:
        raise
    except Exception as error:
        raise _translate_open(error, timeout) from error
    return opened


def decodable(stream: VideoStream) -> bool:
    """Whether this FFmpeg has a decoder for the stream and knows its size."""
    # A codec that it does not have leaves None behind, whatever the type stubs say.
    context = getattr(stream, "codec_context", None)
    return context is not None and bool(context.width)


def _translate_open(error: Exception, timeout: tuple[float, float] | None) -> SourceError:
    why = getattr(error, "strerror", None) or type(error).__name__
    waited_s = timeout[0] if timeout is not None else 0.0
    for types, kind, message in _OPEN_ERRORS:
        if isinstance(error, types):
            return kind(message.format(why=why, waited_s=waited_s))
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
        "nothing came within {waited_s:g} s; check the address and that it is live",
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
    """Holds packets back until their time."""

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
