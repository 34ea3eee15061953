"""Takes one connection's packets, has the sampler decide, and hands its samples over. Runs on the room's puller."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from fractions import Fraction
from threading import Event
from typing import Protocol

from streammon.ingest.config import IngestConfig
from streammon.ingest.rooms.handover import FreeSlots, Outgoing, RoomCounts, to_rgb
from streammon.ingest.sampling.lag import Backlog, DriftLag
from streammon.ingest.sampling.sampler import Arrival, Sample, Sampler
from streammon.ingest.sampling.timeline import Timeline
from streammon.ingest.source import Received, Source

# A sample is overdue when two more should have come after it.
_DEADLINE_INTERVALS = 2.0
_DECODE_WITHIN_S = 30.0


class SamplingThread(Protocol):
    """The thread that samples, as its watchdog knows it."""

    def expect(self, within_s: float) -> None:
        """It comes on within so many seconds, or hangs; `math.inf`: it waits for what cannot hang."""


class SampledRoom(Protocol):
    """What sampling tells its room. Raises SourceStopped where the room has given the thread up."""

    counts: RoomCounts
    slots: FreeSlots

    @property
    def interval_s(self) -> float:
        """The time between two samples, which may change at any time."""

    def begin_session(self, thread: SamplingThread) -> None:
        """The connection delivers video."""

    def send(self, thread: SamplingThread, outgoing: Outgoing) -> None:
        """A sample goes to the engine."""

    def turn(self, thread: SamplingThread) -> AbstractContextManager[None]:
        """In here the room belongs to this thread."""


class Sampling:
    """One connection's."""

    def __init__(self, room: SampledRoom, thread: SamplingThread, config: IngestConfig, hang_up: Event) -> None:
        self._room = room
        self._thread = thread
        self._config = config
        self._hang_up = hang_up
        self._timeline = Timeline(Fraction(1, 90_000))
        self._drift = DriftLag()
        self._backlog = Backlog()
        self._clocks = 0
        self._burst_s = self._burst_pts_s = -math.inf
        self._sampler: Sampler | None = None

    def run(self, source: Source) -> None:
        """Samples until the stream ends (files only), breaks (SourceError) or is hung up."""
        self._thread.expect(max(self._config.open_timeout, source.patience_s))
        for run in source.runs():
            time_base = Fraction(run.stream.time_base or Fraction(1, 90_000))
            self._timeline.begin_run(time_base, run.skipped_s)
            if self._sampler is None:
                self._room.begin_session(self._thread)
                decoder = run.stream.codec_context
                self._sampler = Sampler(decoder, self._room.interval_s, jitter=self._config.jitter)
            else:
                self._sampler.begin_run(run.stream.codec_context)
            self._thread.expect(source.patience_s)
            for received in run.packets():
                self._thread.expect(_DECODE_WITHIN_S)
                self._take(received, self._sampler)
                self._thread.expect(source.patience_s)

    def _take(self, received: Received, sampler: Sampler) -> None:
        packet = received.packet
        sampler.set_interval(self._room.interval_s)
        stamp = packet.pts if packet.pts is not None else packet.dts
        pts_s = self._timeline.seconds(stamp) if stamp is not None else self._timeline.untimed(received.received_s)
        lag_s, overdue = self._lag(received, pts_s)
        arrival = Arrival(
            pts_s=pts_s,
            received_at=received.received_at,
            received_s=received.received_s,
            program_at=received.program_at,
            overdue=overdue,
            ahead_s=self._ahead_s(pts_s, received.received_s),
        )
        sample = sampler.feed(packet, arrival)
        self._room.counts.packet(packet.size, sampler.counts, lag_s)
        if sample is not None:
            self._hand_over(sample)

    def _lag(self, received: Received, pts_s: float) -> tuple[float, bool]:
        """How far behind the live edge the packet came, and whether it is of a backlog that nobody wants to see."""
        if received.lag_s is not None:
            return received.lag_s, False
        if self._timeline.clocks != self._clocks:
            self._clocks = self._timeline.clocks
            self._drift.restart()
            self._backlog.restart()
        lag_s = self._drift.lag_s(pts_s, received.received_s)
        return lag_s, self._backlog.holds(lag_s, received.received_s, self._room.interval_s)

    def _ahead_s(self, pts_s: float, received_s: float) -> float:
        if received_s != self._burst_s:
            self._burst_s, self._burst_pts_s = received_s, pts_s
        return max(0.0, pts_s - self._burst_pts_s)

    def _hand_over(self, sample: Sample) -> None:
        received_s = sample.arrival.received_s
        # What came at once has the time until as much comes again.
        deadline_s = received_s + sample.arrival.ahead_s + _DEADLINE_INTERVALS * self._room.interval_s
        self._thread.expect(math.inf)
        slot = self._room.slots.take(received_s, deadline_s, self._hang_up)
        self._thread.expect(_DECODE_WITHIN_S)
        self._room.counts.sample(dropped=slot is None)
        if slot is None:
            return
        try:
            image = to_rgb(sample.picture, self._config.longest_side_px)
            self._room.send(self._thread, Outgoing(sample=sample, image=image, slot=slot, deadline_s=deadline_s))
        except BaseException:
            self._room.slots.put(slot)
            raise
