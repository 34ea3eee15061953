"""Where a room's samples leave for the engine: slots in shared memory, and the counts of what became of them."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from threading import Event, Lock

import av
import numpy as np

from streammon.entities import Image
from streammon.ingest.rooms.arena import Arena
from streammon.ingest.rooms.wire import FrameReady, RoomStats
from streammon.ingest.sampling.sampler import Sample, SamplerCounts

# A stop is noticed within this while a slot is waited for.
_STEP_S = 0.2


@dataclass(slots=True)
class _Counts:
    packets: int = 0
    packet_bytes: int = 0
    decoded: int = 0
    sampled: int = 0
    dropped: int = 0
    decode_errors: int = 0


class RoomCounts:
    """What a room has done since it was last asked. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = _Counts()
        self._lag_s: float | None = None

    def packet(self, size_bytes: int, sampler: SamplerCounts, lag_s: float | None) -> None:
        """A video packet came, so far behind the live edge. What the sampler has counted is taken over."""
        with self._lock:
            self._counts.packets += 1
            self._counts.packet_bytes += size_bytes
            self._counts.decoded += sampler.decoded
            self._counts.decode_errors += sampler.decode_errors
            self._lag_s = lag_s
        sampler.decoded = sampler.decode_errors = 0

    def sample(self, *, dropped: bool) -> None:
        """A sample was taken, and dropped where there was no slot for it."""
        with self._lock:
            self._counts.sampled += 1
            self._counts.dropped += dropped

    def take(self, room_id: str) -> RoomStats:
        """The counts since the last call."""
        with self._lock:
            counts, self._counts = self._counts, _Counts()
            lag_s, self._lag_s = self._lag_s, None
        return RoomStats(
            room_id=room_id,
            packets=counts.packets,
            packet_bytes=counts.packet_bytes,
            decoded=counts.decoded,
            sampled=counts.sampled,
            dropped=counts.dropped,
            decode_errors=counts.decode_errors,
            lag_s=lag_s,
        )


class FreeSlots:
    """The slots that a room may write to now, of those that are its own. `put` from any thread."""

    def __init__(self, slots: list[int]) -> None:
        self._own = frozenset(slots)
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._starved = False

    def put(self, slot: int) -> None:
        """The engine gave a slot back, or it was not used.

        What the engine read last of a room that went and came again is in a slot that is not this one's any more.
        """
        if slot in self._own:
            self._free.put(slot)

    def take(self, received_s: float, deadline_s: float, stop: Event) -> int | None:
        """A slot; None where none came before the sample's deadline.

        Waiting twice in a row would let the stream fall behind: after one wait in vain samples are dropped at once.
        """
        slot = self._wait(received_s if self._starved else deadline_s, stop)
        self._starved = slot is None and not stop.is_set()
        return slot

    def _wait(self, until_s: float, stop: Event) -> int | None:
        while not stop.is_set():
            left_s = until_s - time.monotonic()
            try:
                return self._free.get(timeout=max(0.0, min(left_s, _STEP_S)))
            except queue.Empty:
                if left_s <= 0:
                    return None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A sample that is ready to be sent: its picture as RGB, and the slot that is its own."""

    sample: Sample
    image: Image
    slot: int
    deadline_s: float

    def write(self, arena: Arena, room_id: str, session: int, seq: int) -> FrameReady:
        """Copies the picture into its slot. Returns the message that gives the slot away."""
        arena.write(self.slot, self.image)
        arrival, picture = self.sample.arrival, self.sample.picture
        return FrameReady(
            room_id=room_id,
            slot=self.slot,
            seq=seq,
            session=session,
            pts_s=arrival.pts_s,
            program_at=arrival.program_at,
            received_at=arrival.received_at,
            received_s=arrival.received_s,
            deadline_s=self.deadline_s,
            key_frame=bool(picture.key_frame),
            width=picture.width,
            height=picture.height,
            image_width=self.image.shape[1],
            image_height=self.image.shape[0],
        )


def to_rgb(picture: av.VideoFrame, longest_side_px: int) -> Image:
    """The picture as H x W x 3 RGB, scaled down in proportion where its longest side is over the bound."""
    scale = min(1.0, longest_side_px / max(picture.width, picture.height))
    width = max(1, round(picture.width * scale))
    height = max(1, round(picture.height * scale))
    rgb = picture.reformat(width=width, height=height, format="rgb24", interpolation="AREA", threads=1)
    return np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)
