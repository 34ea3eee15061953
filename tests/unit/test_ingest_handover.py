"""Where samples leave for the engine: slots that come back or do not, counts that add up, pictures that fit."""

from __future__ import annotations

import math
import os
import threading
import time
from datetime import UTC, datetime
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.ingest.rooms.arena import Arena, create_arena_fd
from streammon.ingest.rooms.handover import FreeSlots, Outgoing, RoomCounts, to_rgb
from streammon.ingest.sampling.sampler import Arrival, Sample, SamplerCounts

RUNNING = threading.Event()
AT = datetime(2026, 1, 1, tzinfo=UTC)


def picture(width: int, height: int, pts: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 200, np.uint8), format="rgb24").reformat(
        format="yuv420p"
    )
    frame.pts, frame.time_base = pts, Fraction(1, 1000)
    return frame


def take_at_once(slots: FreeSlots, stop: threading.Event = RUNNING) -> int | None:
    """A slot, for a sample that is due now."""
    now_s = time.monotonic()
    return slots.take(now_s, now_s, stop)


def test_slots_are_taken_in_turn_and_come_back() -> None:
    slots = FreeSlots([4, 7])
    assert [take_at_once(slots) for _ in range(3)] == [4, 7, None]
    slots.put(7)
    assert take_at_once(slots) == 7


def test_a_slot_that_is_not_the_room_s_is_not_taken_in() -> None:
    slots = FreeSlots([1])
    slots.put(99)
    assert take_at_once(slots) == 1
    assert take_at_once(slots) is None


def test_a_slot_that_comes_in_time_is_waited_for() -> None:
    slots = FreeSlots([0])
    assert take_at_once(slots) == 0
    giver = threading.Timer(0.02, slots.put, [0])
    giver.start()
    now_s = time.monotonic()
    assert slots.take(now_s, now_s + 5.0, RUNNING) == 0
    assert time.monotonic() - now_s < 1.0
    giver.join()


def test_after_one_wait_in_vain_there_is_no_other() -> None:
    slots = FreeSlots([])
    now_s = time.monotonic()
    assert slots.take(now_s, now_s + 0.02, RUNNING) is None
    waited_s = time.monotonic() - now_s
    assert waited_s >= 0.02
    now_s = time.monotonic()
    assert slots.take(now_s, now_s + 60.0, RUNNING) is None
    assert time.monotonic() - now_s < 1.0


def test_a_stop_ends_the_wait_and_is_no_reason_to_drop_what_comes_later() -> None:
    slots = FreeSlots([0])
    assert take_at_once(slots) == 0
    stop = threading.Event()
    stop.set()
    now_s = time.monotonic()
    assert slots.take(now_s, now_s + 60.0, stop) is None
    assert time.monotonic() - now_s < 1.0
    giver = threading.Timer(0.02, slots.put, [0])
    giver.start()
    now_s = time.monotonic()
    assert slots.take(now_s, now_s + 5.0, RUNNING) == 0, "the next connection's samples may wait for a slot again"
    giver.join()


def test_counts_are_told_once() -> None:
    counts = RoomCounts()
    sampler = SamplerCounts(decoded=3, decode_errors=1)
    counts.packet(100, sampler, 2.5)
    counts.packet(50, sampler, 3.5)
    counts.sample(dropped=False)
    counts.sample(dropped=True)
    stats = counts.take("r")
    assert (stats.room_id, stats.packets, stats.packet_bytes) == ("r", 2, 150)
    assert (stats.decoded, stats.decode_errors, stats.sampled, stats.dropped) == (3, 1, 2, 1)
    assert stats.lag_s == 3.5
    empty = counts.take("r")
    assert (empty.packets, empty.decoded, empty.sampled, empty.dropped, empty.lag_s) == (0, 0, 0, 0, None)
    assert (sampler.decoded, sampler.decode_errors) == (0, 0)


def test_no_count_is_lost_between_threads() -> None:
    counts, done = RoomCounts(), threading.Event()

    def pull() -> None:
        for _ in range(5000):
            counts.packet(1, SamplerCounts(decoded=1), 0.0)
        done.set()

    puller = threading.Thread(target=pull)
    puller.start()
    packets = decoded = 0
    while not done.is_set():
        stats = counts.take("r")
        packets, decoded = packets + stats.packets, decoded + stats.decoded
    puller.join(1.0)
    assert not puller.is_alive()
    stats = counts.take("r")
    assert (packets + stats.packets, decoded + stats.decoded) == (5000, 5000)


def test_a_sample_is_written_into_its_slot_and_told_whole() -> None:
    arrival = Arrival(pts_s=12.5, received_at=AT, received_s=5.0, program_at=AT)
    shown = picture(320, 180)
    image = to_rgb(shown, 160)
    fd = create_arena_fd(2 * 160 * 160 * 3)
    with Arena(fd, slots=2, slot_bytes=160 * 160 * 3) as arena:
        outgoing = Outgoing(sample=Sample(picture=shown, arrival=arrival), image=image, slot=1, deadline_s=9.0)
        ready = outgoing.write(arena, "r", 2, 7)
        assert np.array_equal(arena.read(1, 90, 160), image)
    os.close(fd)
    assert (ready.room_id, ready.session, ready.seq, ready.slot) == ("r", 2, 7, 1)
    assert (ready.pts_s, ready.received_s, ready.deadline_s, ready.program_at) == (12.5, 5.0, 9.0, AT)
    assert (ready.width, ready.height, ready.image_width, ready.image_height) == (320, 180, 160, 90)


sizes = st.integers(2, 400).map(lambda half: 2 * half)


@given(sizes, sizes, st.integers(16, 400))
def test_any_picture_is_scaled_to_fit_in_proportion(width: int, height: int, bound: int) -> None:
    image = to_rgb(picture(width, height), bound)
    assert image.flags.c_contiguous
    assert image.dtype == np.uint8
    assert max(image.shape[:2]) <= max(bound, 1)
    assert max(image.shape[:2]) == min(bound, max(width, height))
    scale = min(1.0, bound / max(width, height))
    assert math.isclose(image.shape[1], max(1, width * scale), abs_tol=0.51)
    assert math.isclose(image.shape[0], max(1, height * scale), abs_tol=0.51)
    assert abs(int(image.mean()) - 200) <= 3


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255)])
def test_colours_are_red_green_blue_in_this_order(colour: tuple[int, int, int]) -> None:
    plain = av.VideoFrame.from_ndarray(np.full((16, 16, 3), colour, np.uint8), format="rgb24")
    image = to_rgb(plain.reformat(format="yuv444p"), 16)
    assert np.abs(image.mean(axis=(0, 1)) - colour).max() < 6
