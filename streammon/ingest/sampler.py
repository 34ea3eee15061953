"""Decides which frames of a stream are kept, and decodes no more of it than that takes.

Packets of the current GOP are kept undecoded. When a sample is due, decoding starts at the GOP's key frame and goes on
until a picture of the due time comes out; a GOP in which none is due is never decoded. A key frame that serves as the
sample is drained from the decoder at once: waiting for its successors would hold it back by the reorder delay.
"""

from __future__ import annotations

from collections import deque
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

    `program_at` is the publisher's wall clock, None where the stream gives none.
    """

    pts_s: float
    received_at: datetime
    received_s: float
    program_at: datetime | None = None


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
    """Samples one connection's video every `interval_s` seconds of stream time. Used by the room's thread."""

    def __init__(self, decoder: VideoCodecContext, interval_s: float) -> None:
        self.counts = SamplerCounts()
        self._decoder = decoder
        self._decoder.skip_frame = "NONREF"
        self._interval_s = interval_s
        self._due_s = 0.0
        self._latest_s = 0.0
        self._gop = _Gop()
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
        """Takes the next packet, in decoding order; returns the sample that it completes, or None."""
        if packet.is_keyframe:
            self._start_gop()
        elif not self._synced:
            return None
        self._gop.add(packet)
        self._latest_s = arrival.pts_s
        if packet.pts is not None:
            self._arrivals[packet.pts] = arrival
        slack_s = self._interval_s * _KEY_FRAME_SLACK if packet.is_keyframe else 0.0
        if arrival.pts_s < self._due_s - slack_s:
            if self._gop.full:
                self._decode_pending()
                self._forget_old_arrivals()
            return None
        sample = self._first_due(self._decode_due(), slack_s)
        self._forget_old_arrivals()
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
            if arrival is not None and arrival.pts_s >= self._due_s - slack_s:
                self._advance(arrival.pts_s)
                return Sample(picture=picture, arrival=arrival)
        return None

    def _forget_old_arrivals(self) -> None:
        pending = len(self._gop.packets)
        while len(self._arrivals) > pending + _REORDER_PACKETS:
            del self._arrivals[next(iter(self._arrivals))]

    def _advance(self, sampled_s: float) -> None:
        self._due_s += self._interval_s
        if self._due_s <= sampled_s:
            self._due_s = sampled_s + self._interval_s
