"""Turns bytes that our own client fetched into a file that FFmpeg reads, and remembers where each piece begins.

FFmpeg reads on the room's thread. It would go on reading after an error, so the file ends there and keeps the error for
whoever reads the packets.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import av
from av.video.stream import VideoStream

from streammon.errors import SourceError, SourceNotMedia, SourceStalled
from streammon.ingest.hls.playlist_entities import later
from streammon.ingest.hls.reader import Loaded
from streammon.ingest.media.demux import DemuxedRun, stamped_now
from streammon.ingest.net.http_client import Body
from streammon.ingest.sampling.timeline import unwrapped
from streammon.ingest.source import Received

Result = TypeVar("Result")

# FFmpeg would look for the first video in every segment to come. It looks at 0.7 s where it finds some.
_OPENING_SEGMENTS = 3
_OPENING_S = 2.5


class _FedFile(ABC):
    """A file that ends where it fails; `check` then says why."""

    def __init__(self) -> None:
        self._failure: SourceError | None = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end, and from the first failure on."""
        if self._failure is not None:
            return b""
        try:
            return self._read(size)
        except SourceError as error:
            self._failure = error
            return b""

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Around all that reads it: raises what ended it, in place of what FFmpeg made of that."""
        try:
            yield
        except SourceError as error:
            raise self._failure or error from error
        if self._failure is not None:
            raise self._failure

    @abstractmethod
    def _read(self, size: int) -> bytes: ...


class SegmentFile(_FedFile):
    """One run of HLS segments as one file, that ends where the next run begins; not seekable.

    `following` is the segment that begins the next run, None where the stream is over or it has not come yet. For
    `stall_after_s` see `_Waiting`.
    """

    def __init__(self, first: Loaded, segments: Iterator[Loaded], stall_after_s: float | None) -> None:
        super().__init__()
        self._segments = segments
        self._waiting = _Waiting(stall_after_s)
        self._video_came = False
        self._starts: list[int] = []
        self._pieces: list[Loaded] = []
        self._size = 0
        self._rest = memoryview(b"")
        self._take(first)
        self.following: Loaded | None = None
        self._over = False

    def _read(self, size: int) -> bytes:
        """Waits for the next segment where needed."""
        while not self._rest and not self._over:
            loaded = self._waiting.time(self._next)
            if loaded is None or loaded.begins_run:
                self.following, self._over = loaded, True
            else:
                self._take(loaded)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def _next(self) -> Loaded | None:
        opening = self._pieces if not self._video_came else []
        if len(opening) >= _OPENING_SEGMENTS and sum(piece.segment.duration_s for piece in opening) >= _OPENING_S:
            raise SourceNotMedia(f"{len(opening)} segments hold no video; check what the packager writes")
        return next(self._segments, None)

    def piece_at(self, position: int | None) -> Loaded:
        """The segment, without its bytes, that holds this byte of a video packet; the newest where that is not told."""
        self._waiting.video_came()
        self._video_came = True
        if position is None or position < 0:
            return self._pieces[-1]
        index = max(bisect_right(self._starts, position) - 1, 0)
        piece = self._pieces[index]
        del self._starts[:index], self._pieces[:index]  # packets come in order
        return piece

    def _take(self, loaded: Loaded) -> None:
        content = loaded.init + loaded.data if loaded.begins_run else loaded.data
        self._starts.append(self._size)
        self._pieces.append(replace(loaded, data=b"", init=b""))
        self._rest = memoryview(content)
        self._size += len(content)


class FedRun:
    """A run of one of these files; see `Run`. What ended the file is raised, not what FFmpeg made of that."""

    def __init__(self, run: DemuxedRun, file: SegmentFile | BodyFile, skipped_s: float = 0.0) -> None:
        self.stream = run.stream
        self.skipped_s = skipped_s
        self._run = run
        self._file = file

    def packets(self) -> Iterator[Received]:
        """See `Run`."""
        with self._file.checked():
            yield from self._run.packets()


class SegmentStamp:
    """Tells when a packet's segment came, and the publisher's time and the lag, counted on from its segment's."""

    def __init__(self, file: SegmentFile) -> None:
        self._file = file
        self._piece: Loaded | None = None
        self._first_s = 0.0

    def __call__(self, packet: av.Packet[VideoStream]) -> Received:
        piece = self._file.piece_at(packet.pos)
        stamp = packet.pts if packet.pts is not None else packet.dts
        time_base = Fraction(packet.time_base)
        raw_s = float(stamp * time_base) if stamp is not None else self._first_s
        if piece is not self._piece:
            self._piece, self._first_s = piece, raw_s
        into_s = unwrapped(raw_s - self._first_s, time_base)
        return Received(
            packet=packet,
            received_at=piece.received_at,
            received_s=piece.received_s,
            program_at=later(piece.segment.program_at, into_s),
            # What a publisher rounds or reorders may not put a packet before the edge.
            lag_s=0.0 if piece.lag_s is None else max(piece.lag_s - into_s, 0.0),
        )


class BodyFile(_FedFile):
    """An HTTP answer without an end (HTTP-FLV) as a file; not seekable. For `stall_after_s` see `_Waiting`.

    `within` bounds what is read in it: `HttpClient.within`.
    """

    def __init__(
        self, body: Body, within: Callable[[float], AbstractContextManager[None]], stall_after_s: float
    ) -> None:
        super().__init__()
        self._body = body
        self._within = within
        self._waiting = _Waiting(stall_after_s)

    def _read(self, size: int) -> bytes:
        with self._within(self._waiting.left_s):  # a server may keep one read busy, byte by byte
            return self._waiting.time(lambda: self._body.read(size))

    def stamp(self, packet: av.Packet[VideoStream]) -> Received:
        """A video packet that has come just now."""
        self._waiting.video_came()
        return stamped_now(packet)


class _Waiting:
    """Counts the seconds waited for bytes since the last video packet, since a packet may never become complete.

    More than `stall_after_s` (None: never) raises SourceStalled. The time between the waits is not the stream's fault.
    """

    def __init__(self, stall_after_s: float | None) -> None:
        self._stall_after_s = stall_after_s
        self._waited_s = 0.0

    @property
    def left_s(self) -> float:
        """How long may still be waited."""
        return math.inf if self._stall_after_s is None else max(0.0, self._stall_after_s - self._waited_s)

    def video_came(self) -> None:
        """A packet is complete: the waiting begins anew."""
        self._waited_s = 0.0

    def time(self, wait: Callable[[], Result]) -> Result:
        began_s = time.monotonic()
        result = wait()
        self._waited_s += time.monotonic() - began_s
        if self._stall_after_s is not None and self._waited_s > self._stall_after_s:
            raise SourceStalled("connected, but no video came any more, or too slowly; it is tried again")
        return result
