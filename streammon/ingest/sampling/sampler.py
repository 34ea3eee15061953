"""Decides which frames of a stream are kept, and decodes no more of it than that takes.

Packets of the current GOP are kept undecoded. When a sample is due, decoding starts at the GOP's key frame and goes on
until a picture of the due time comes out; a GOP in which none is due is never decoded. A key frame that serves as the
sample is drained from the decoder at once: waiting for its successors would hold it back by the reorder delay. Of a
backlog nothing is decoded but the newest key frame in it.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

# How much earlier than due, as a share of the interval, a key frame is taken instead of decoding up to the due time.
_KEY_FRAME_SLACK = 0.25
# A GOP longer than this is decoded as it comes, so that what is kept undecoded stays bounded.
_MAX_PENDING_PACKETS = 600
_MAX_PENDING_BYTES = 16 << 20
# No codec holds back more pictures than this, so the arrivals of older packets are of no use.
_REORDER_PACKETS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a packet came and what it shows: `pts_s` of the session, wall clock and monotonic clock.

    `program_at` is the publisher's wall clock, None where the stream gives none. `overdue`: it is late, and newer ones
    are right behind it (see `Backlog`). `ahead_s`: how far into what came at once (an HLS segment) it is.
    """

    pts_s: float
    received_at: datetime
    received_s: float
    program_at: datetime | None = None
    overdue: bool = False
    ahead_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A decoded picture that was asked for, and the arrival of its packet."""

    picture: av.VideoFrame
    arrival: Arrival


@dataclass(slots=True)
class SamplerCounts:
    """What the sampler has done since the counts were last taken."""

    decoded: int = 0
    decode_errors: int = 0


@dataclass(slots=True)
class _Gop:
    """Packets since the last key frame that the decoder has not seen. `primed`: it has seen those before them."""

    packets: deque[av.Packet[VideoStream]] = field(default_factory=deque)
    size_bytes: int = 0
    primed: bool = False

    def start(self) -> None:
        self.packets.clear()
        self.size_bytes = 0
        self.primed = False

    def add(self, packet: av.Packet[VideoStream]) -> None:
        self.packets.append(packet)
        self.size_bytes += packet.size

    @property
    def full(self) -> bool:
        return len(self.packets) > _MAX_PENDING_PACKETS or self.size_bytes > _MAX_PENDING_BYTES


class Sampler:
    """Samples one connection's video every `interval_s` seconds of stream time. Used by the room's thread.

    With `jitter` each interval is longer or shorter by up to that share of it, at random, so that a publisher cannot
    know when nobody looks. `draw` gives 0..1.
    """

    def __init__(
        self,
        decoder: VideoCodecContext,
        interval_s: float,
        *,
        jitter: float = 0.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.counts = SamplerCounts()
        self._decoder = decoder
        self._decoder.skip_frame = "NONREF"
        self._interval_s = interval_s
        self._jitter = jitter
        self._draw = draw
        self._due_s = 0.0
        self._latest_s = 0.0
        self._sampled_s = -math.inf
        self._overdue = False
        self._gop = _Gop()
        self._number = 0
        self._arrivals: dict[int, Arrival] = {}
        self._synced = False

    def begin_run(self, decoder: VideoCodecContext) -> None:
        """From the next packet on the video has another decoder: another encoding, or a break in the stream."""
        self._decoder = decoder
        self._decoder.skip_frame = "NONREF"
        self._gop = _Gop()
        self._arrivals.clear()
        self._synced = False

    def set_interval(self, interval_s: float) -> None:
        """Sample every `interval_s` seconds from the last sample on, but nothing that has already gone by.

        The one way a room's rate changes.
        """
        if interval_s != self._interval_s:
            self._due_s = max(self._due_s + interval_s - self._interval_s, self._latest_s)
            self._interval_s = interval_s

    def feed(self, packet: av.Packet[VideoStream], arrival: Arrival) -> Sample | None:
        """Takes the next packet, in decoding order; returns the sample that it completes, or None.

        The packet's own stamps may be missing, or come twice: it is given a number instead, which its picture bears.
        """
        if packet.is_keyframe:
            self._start_gop()
        elif not self._synced:
            return None
        self._keep(packet, arrival)
        caught_up, self._overdue = self._overdue and not arrival.overdue, arrival.overdue
        slack_s = self._slack_s(packet)
        sample = None
        if caught_up:
            sample = self._catch_up()
        elif not arrival.overdue and arrival.pts_s >= self._due_s - slack_s:
            sample = self._first_due(self._decode_due(), slack_s)
        elif self._gop.full:
            self._decode_pending()
        self._forget_old_arrivals()
        return sample

    def _keep(self, packet: av.Packet[VideoStream], arrival: Arrival) -> None:
        self._number += 1
        packet.pts = self._number
        self._arrivals[self._number] = arrival
        self._gop.add(packet)
        self._latest_s = max(self._latest_s, arrival.pts_s)

    def _slack_s(self, packet: av.Packet[VideoStream]) -> float:
        return self._interval_s * _KEY_FRAME_SLACK if packet.is_keyframe else 0.0

    def _catch_up(self) -> Sample | None:
        """The newest key frame where that is due, and then nothing that has already gone by."""
        sample = None
        if not self._gop.primed:
            sample = self._first_due(self._drain_key_frame(), self._slack_s(self._gop.packets[0]))
        self._due_s = max(self._due_s, self._latest_s)
        return sample

    def _start_gop(self) -> None:
        self._synced = True
        if self._gop.primed:
            # Pictures that the decoder still holds back belong to a GOP that nobody asks for any more.
            self._decoder.flush_buffers()
        self._gop.start()
        self._arrivals.clear()

    def _decode_due(self) -> list[av.VideoFrame]:
        if len(self._gop.packets) == 1 and not self._gop.primed:
            return self._drain_key_frame()
        return self._decode_pending()

    def _drain_key_frame(self) -> list[av.VideoFrame]:
        pictures = self._decode(self._gop.packets[0]) + self._decode(None)
        self._decoder.flush_buffers()
        return pictures

    def _decode_pending(self) -> list[av.VideoFrame]:
        pictures: list[av.VideoFrame] = []
        while self._gop.packets:
            pictures += self._decode(self._gop.packets.popleft())
        self._gop.size_bytes = 0
        self._gop.primed = True
        return pictures

    def _decode(self, packet: av.Packet[VideoStream] | None) -> list[av.VideoFrame]:
        try:
            pictures = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self.counts.decode_errors += 1
            return []
        self.counts.decoded += len(pictures)
        return pictures

    def _first_due(self, pictures: list[av.VideoFrame], slack_s: float) -> Sample | None:
        for picture in pictures:
            arrival = None if picture.pts is None else self._arrivals.get(picture.pts)
            if arrival is not None and arrival.pts_s >= self._due_s - slack_s and arrival.pts_s > self._sampled_s:
                self._advance(arrival.pts_s)
                return Sample(picture=picture, arrival=arrival)
        return None

    def _forget_old_arrivals(self) -> None:
        pending = len(self._gop.packets)
        while len(self._arrivals) > pending + _REORDER_PACKETS:
            del self._arrivals[next(iter(self._arrivals))]

    def _advance(self, sampled_s: float) -> None:
        self._sampled_s = sampled_s
        step_s = self._interval_s * (1.0 + self._jitter * (2.0 * self._draw() - 1.0))
        self._due_s += step_s
        if self._due_s <= sampled_s:
            self._due_s = sampled_s + step_s
