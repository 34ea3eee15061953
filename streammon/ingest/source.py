"""What a room's thread reads a stream through, whatever carries it: runs of packets with honest times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import av
from av.video.stream import VideoStream

LIVE_SCHEMES = frozenset({"rtmp", "rtmps", "http", "https"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """What to open. `url` without a live scheme is a file, played at its own pace.

    `resumed`: the room was watched before, so a stream that is over is not played again.
    """

    url: str
    headers: Mapping[str, str]
    resumed: bool = False

    @property
    def live(self) -> bool:
        """Whether the end of this stream is a disconnect rather than its end."""
        return self.url.partition(":")[0].lower() in LIVE_SCHEMES  # a malformed URL is told when it is opened


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """A part of a resource, in bytes: `length` (at least 1) from `offset` on."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A video packet, and when its bytes came: `received_at` UTC, `received_s` monotonic.

    `program_at` is the publisher's wall clock for this packet, None where the stream gives none. `lag_s` is how far
    behind the live edge it came, None where the stream does not tell where its edge is.
    """

    packet: av.Packet[VideoStream]
    received_at: datetime
    received_s: float
    program_at: datetime | None = None
    lag_s: float | None = None


class Run(Protocol):
    """A stretch of a stream with one clock and one encoding. `stream` is its video, and has its decoder.

    `skipped_s` is how much of the stream was missed before it, as far as that is known.
    """

    stream: VideoStream
    skipped_s: float

    def packets(self) -> Iterator[Received]:
        """The video packets as they come, in decoding order. Raises SourceError where the stream breaks off."""


class Source(Protocol):
    """An open connection. Raises SourceError on every failure, with a message that holds no part of the URL.

    `patience_s` is how long it may go without a video packet before that is a stall. May grow while it is read.
    """

    @property
    def patience_s(self) -> float: ...

    def runs(self) -> Iterator[Run]:
        """The stream's runs, one after the other; ends with a file's end. Soon after a stop, it ends or raises."""

    def close(self) -> None:
        """Closes the connection. May be called twice."""
