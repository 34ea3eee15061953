"""Watches one room inside the ingest process: connect, sample, hand over, reconnect. One thread per room."""

from __future__ import annotations

import logging
import queue
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from threading import Event, Lock, Thread

import av
import numpy as np
from av.video.stream import VideoStream

from streammon.backoff import Backoff
from streammon.entities import Image, RoomState
from streammon.errors import InternalFault, SourceError, SourceFinished, SourceStopped
from streammon.ingest.address import AddressPolicy
from streammon.ingest.arena import Arena
from streammon.ingest.config import IngestConfig
from streammon.ingest.opening import open_source
from streammon.ingest.refresh import fresh_url
from streammon.ingest.sampler import Arrival, Sample, Sampler
from streammon.ingest.source import Received, Source, SourceRequest
from streammon.ingest.timeline import Timeline
from streammon.ingest.wire import AddRoom, Channel, FrameReady, RoomChanged, RoomStats, ToIngest

_log = logging.getLogger(__name__)

# A connection that has held this long is a success: the next failure is tried again quickly.
_GOOD_SESSION_S = 60.0
# A sample is overdue when two more should have come after it.
_DEADLINE_INTERVALS = 2.0


@dataclass(slots=True)
class _Counts:
    packets: int = 0
    packet_bytes: int = 0
    decoded: int = 0
    sampled: int = 0
    dropped: int = 0
    decode_errors: int = 0


class RoomWorker:
    """One room's thread. `add` carries its slots in the arena, which it owns until it sends them off."""

    def __init__(self, add: AddRoom, config: IngestConfig, arena: Arena, channel: Channel[ToIngest]) -> None:
        self.room_id = add.room_id
        self._request = SourceRequest(url=add.url, headers=add.headers)
        self._url_command = add.url_command
        self._live = self._request.live or bool(add.url_command)
        self._config = config
        self._arena = arena
        self._channel = channel
        self._interval_s = add.interval_s
        self._session = add.session_base
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in add.slots:
            self._free.put(slot)
        self._seq = 0
        self._state = RoomState.CONNECTING
        self._starved = False
        self._stop = Event()
        self._counts = _Counts()
        self._counting = Lock()
        self._backoff = Backoff(first_s=config.backoff_first, cap_s=config.backoff_cap)
        self._failures = 0
        self._thread = Thread(target=self._run, name=f"room-{add.room_id}", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def free_slot(self, slot: int) -> None:
        """The engine gave a slot back. Any thread."""
        self._free.put(slot)

    def set_interval(self, interval_s: float) -> None:
        """Sample every `interval_s` seconds from the next packet on. Any thread."""
        self._interval_s = interval_s

    def stop(self) -> None:
        """Asks the thread to end; it sends `stopped` when it has."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within `timeout_s`."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def take_stats(self) -> RoomStats:
        """The counts since the last call. Any thread."""
        with self._counting:
            counts, self._counts = self._counts, _Counts()
        return RoomStats(
            room_id=self.room_id,
            packets=counts.packets,
            packet_bytes=counts.packet_bytes,
            decoded=counts.decoded,
            sampled=counts.sampled,
            dropped=counts.dropped,
            decode_errors=counts.decode_errors,
        )

    def _run(self) -> None:
        while True:
            try:
                self._watch()
            except Exception:  # noqa: BLE001 - the thread's top frame
                _log.exception("room thread failed", extra={"room_id": self.room_id})
                fault = InternalFault("a fault of the monitor's own; its log says where")
                if self._live:
                    self._wait_after(fault)
                    continue
                self._change(RoomState.FAILED, fault.code, str(fault))
            return

    def _watch(self) -> None:
        while not self._stop.is_set():
            if self._state is not RoomState.ENDED:
                self._change(RoomState.CONNECTING)
            try:
                self._one_session()
            except SourceStopped:
                break
            except SourceError as error:
                if not self._live:
                    self._change(RoomState.FAILED, error.code, str(error))
                    return
                self._wait_after(error)
            else:
                if not self._stop.is_set():
                    self._change(RoomState.ENDED, "end_of_file", "it has been played to its end")
                break
        self._change(RoomState.STOPPED)

    def _wait_after(self, error: SourceError) -> None:
        """Waits until the stream is worth another try. One that is over is looked at again without a word."""
        over = isinstance(error, SourceFinished)
        if not over or self._state is not RoomState.ENDED:
            self._change(RoomState.ENDED if over else RoomState.BACKING_OFF, error.code, str(error))
        self._failures += 1
        self._stop.wait(self._backoff.delay_s(self._failures))

    def _one_session(self) -> None:
        request = replace(self._request, url=self._current_url(), resumed=self._session > 0)
        with closing(open_source(request, self._config, self._stop)) as source:
            started_s = time.monotonic()
            try:
                self._sample(source)
            finally:
                if time.monotonic() - started_s >= _GOOD_SESSION_S:
                    self._failures = 0

    def _current_url(self) -> str:
        if not self._url_command:
            return self._request.url
        url = fresh_url(self._url_command, self._stop)
        AddressPolicy().check_scheme(url)  # files come from the command line only
        return url

    def _sample(self, source: Source) -> None:
        timeline: Timeline | None = None
        sampler: Sampler | None = None
        for run in source.runs():
            time_base = Fraction(run.stream.time_base or Fraction(1, 90_000))
            if timeline is None or sampler is None:
                self._session += 1
                self._change(RoomState.STREAMING)
                timeline, sampler = Timeline(time_base), Sampler(run.stream.codec_context, self._interval_s)
            else:
                timeline.begin_run(time_base)
                sampler.begin_run(run.stream.codec_context)
            for received in run.packets():
                self._take(received, timeline, sampler)

    def _take(self, received: Received, timeline: Timeline, sampler: Sampler) -> None:
        packet = received.packet
        sampler.set_interval(self._interval_s)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        arrival = Arrival(
            pts_s=timeline.seconds(stamp),
            received_at=received.received_at,
            received_s=received.received_s,
            program_at=received.program_at,
        )
        sample = sampler.feed(packet, arrival)
        self._count(packet, sampler)
        if sample is not None:
            self._hand_over(sample)

    def _count(self, packet: av.Packet[VideoStream], sampler: Sampler) -> None:
        with self._counting:
            self._counts.packets += 1
            self._counts.packet_bytes += packet.size
            self._counts.decoded += sampler.counts.decoded
            self._counts.decode_errors += sampler.counts.decode_errors
        sampler.counts.decoded = sampler.counts.decode_errors = 0

    def _hand_over(self, sample: Sample) -> None:
        deadline_s = sample.arrival.received_s + _DEADLINE_INTERVALS * self._interval_s
        with self._counting:
            self._counts.sampled += 1
        # Waiting twice in a row would let the stream fall behind; after one wait in vain, samples are dropped at once.
        slot = self._free_slot_before(deadline_s if not self._starved else sample.arrival.received_s)
        self._starved = slot is None
        if slot is None:
            with self._counting:
                self._counts.dropped += 1
            return
        image = _to_rgb(sample.picture, self._config.longest_side_px)
        self._arena.write(slot, image)
        self._seq += 1
        self._channel.send(self._ready(sample, slot, image, deadline_s))

    def _free_slot_before(self, deadline_s: float) -> int | None:
        """A slot, waited for in small steps so that a stop is noticed; None where none came in time."""
        while not self._stop.is_set():
            left_s = deadline_s - time.monotonic()
            try:
                return self._free.get(timeout=max(0.0, min(left_s, 0.2)))
            except queue.Empty:
                if left_s <= 0:
                    return None
        return None

    def _ready(self, sample: Sample, slot: int, image: Image, deadline_s: float) -> FrameReady:
        return FrameReady(
            room_id=self.room_id,
            slot=slot,
            seq=self._seq,
            session=self._session,
            pts_s=sample.arrival.pts_s,
            program_at=sample.arrival.program_at,
            received_at=sample.arrival.received_at,
            received_s=sample.arrival.received_s,
            deadline_s=deadline_s,
            key_frame=bool(sample.picture.key_frame),
            width=sample.picture.width,
            height=sample.picture.height,
            image_width=image.shape[1],
            image_height=image.shape[0],
        )

    def _change(self, state: RoomState, reason: str | None = None, detail: str | None = None) -> None:
        self._state = state
        _log.info("room is %s", state.value, extra={"room_id": self.room_id, "reason": reason})
        self._channel.send(
            RoomChanged(
                room_id=self.room_id,
                session=self._session,
                state=state,
                at=datetime.now(UTC),
                reason=reason,
                detail=detail,
            )
        )


def _to_rgb(picture: av.VideoFrame, longest_side_px: int) -> Image:
    """The picture as H x W x 3 RGB, scaled down in proportion where its longest side is over the bound."""
    scale = min(1.0, longest_side_px / max(picture.width, picture.height))
    width = max(1, round(picture.width * scale))
    height = max(1, round(picture.height * scale))
    rgb = picture.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)
