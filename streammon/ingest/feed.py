"""Turns bytes that our own client fetched into a file that FFmpeg reads, and remembers where each piece begins.

FFmpeg reads on the room's thread, so an error raised here comes out of the demuxer's call there.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import av
from av.video.stream import VideoStream

from streammon.errors import SourceStalled
from streammon.ingest.demux import stamped_now
from streammon.ingest.hls import Loaded
from streammon.ingest.http_client import Body
from streammon.ingest.source import Received

Result = TypeVar("Result")


class SegmentFile:
    """One run of HLS segments as one file, that ends where the next run begins; not seekable.

    `following` is the segment that begins the next run, None where the stream is over or it has not come yet. For
    `stall_after_s` see `_Waiting`.
    """

    def __init__(self, first: Loaded, segments: Iterator[Loaded], stall_after_s: float | None) -> None:
        self._segments = segments
        self._waiting = _Waiting(stall_after_s)
        self._starts: list[int] = []
        self._pieces: list[Loaded] = []
        self._size = 0
        self._rest = memoryview(b"")
        self._take(first)
        self.following: Loaded | None = None
        self._over = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes, waiting for the next segment where needed; empty at the run's end."""
        while not self._rest and not self._over:
            loaded = self._waiting.time(lambda: next(self._segments, None))
            if loaded is None or loaded.begins_run:
                self.following, self._over = loaded, True
            else:
                self._take(loaded)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def piece_at(self, position: int | None) -> Loaded:
        """The segment, without its bytes, that holds this byte of a video packet; the newest where that is not told."""
        self._waiting.video_came()
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


class BodyFile:
    """An HTTP answer without an end (HTTP-FLV) as a file; not seekable. For `stall_after_s` see `_Waiting`."""

    def __init__(self, body: Body, stall_after_s: float) -> None:
        self._body = body
        self._waiting = _Waiting(stall_after_s)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end."""
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

    def video_came(self) -> None:
        self._waited_s = 0.0

    def time(self, wait: Callable[[], Result]) -> Result:
        began_s = time.monotonic()
        result = wait()
        self._waited_s += time.monotonic() - began_s
        if self._stall_after_s is not None and self._waited_s > self._stall_after_s:
            raise SourceStalled("connected, but no video came any more, or too slowly; it is tried again")
        return result
