"""The arena: two mappings of one memory, equal slots, nothing read or written outside of them, nothing leaked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streammon.entities import Image
from streammon.ingest.rooms.arena import Arena, create_arena_fd

SLOTS = 3
SLOT_BYTES = 40 * 40 * 3


def picture(height: int, width: int, seed: int = 1) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def fd() -> Iterator[int]:
    opened = create_arena_fd(SLOTS * SLOT_BYTES)
    yield opened
    os.close(opened)


@pytest.fixture
def arena(fd: int) -> Iterator[Arena]:
    with Arena(fd, slots=SLOTS, slot_bytes=SLOT_BYTES) as opened:
        yield opened


def mapped() -> tuple[int, int]:
    """How many descriptors and how many arenas this process has."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    return len(list(Path("/proc/self/fd").iterdir())), maps.count("streammon-frames")


def test_a_picture_written_through_one_mapping_is_read_through_the_other(fd: int, arena: Arena) -> None:
    with Arena(fd, slots=SLOTS, slot_bytes=SLOT_BYTES) as other:
        pictures = [picture(40, 40, 1), picture(10, 64, 2), picture(1, 1, 3)]
        for slot, image in enumerate(pictures):
            arena.write(slot, image)
        for slot, image in enumerate(pictures):
            np.testing.assert_array_equal(other.read(slot, *image.shape[:2]), image)


def test_what_is_read_is_a_read_only_copy(arena: Arena) -> None:
    arena.write(1, picture(8, 8, 1))
    image = arena.read(1, 8, 8)
    arena.write(1, picture(8, 8, 2))
    np.testing.assert_array_equal(image, picture(8, 8, 1))
    assert image.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 0


@pytest.mark.parametrize(
    ("slot", "height", "width"),
    [(-1, 8, 8), (SLOTS, 8, 8), (0, 0, 8), (0, 8, -8), (0, -40, -40), (0, 41, 40), (2, 1, SLOT_BYTES)],
)
def test_a_slot_out_of_range_or_too_small_is_refused(arena: Arena, slot: int, height: int, width: int) -> None:
    assert not arena.fits(slot, height, width)
    with pytest.raises(ValueError, match=f"slot {slot}"):
        arena.read(slot, height, width)


def test_a_picture_too_large_for_a_slot_is_not_written(arena: Arena) -> None:
    arena.write(1, picture(40, 40))
    with pytest.raises(ValueError, match="no room"):
        arena.write(0, picture(41, 40))
    np.testing.assert_array_equal(arena.read(1, 40, 40), picture(40, 40))


def test_memory_is_taken_only_when_it_is_written_and_given_back_on_close() -> None:
    before = mapped()
    for _ in range(20):
        fd = create_arena_fd(1 << 30)
        arena = Arena(fd, slots=1 << 10, slot_bytes=1 << 20)
        arena.write(5, picture(40, 40))
        assert os.fstat(fd).st_blocks * 512 < 1 << 20
        os.close(fd)
        assert mapped()[1] == before[1] + 1
        arena.close()
        arena.close()
    assert mapped() == before
