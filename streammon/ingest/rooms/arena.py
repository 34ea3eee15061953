"""Shared memory for sampled pictures: one anonymous file, mapped by both processes and cut into equal slots.

A slot has one owner at a time, and ownership moves only by messages (`FrameReady`, `FreeSlot`), so there is no lock
that a killed process could leave held and no torn picture. The memory goes when the last process that maps it is gone.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Self

import numpy as np

from streammon.entities import Image


def create_arena_fd(size_bytes: int) -> int:
    """A file descriptor of `size_bytes` of shared memory. Pages are taken only when first written."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("streammon-frames", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size_bytes)
    return fd


class Arena:
    """A mapping of the shared slots."""

    def __init__(self, fd: int, *, slots: int, slot_bytes: int) -> None:
        self.slots = slots
        self._slot_bytes = slot_bytes
        self._map = mmap.mmap(fd, slots * slot_bytes)

    def write(self, slot: int, image: Image) -> None:
        """Copies a picture into a slot that the caller owns."""
        self._view(slot, image.shape[0], image.shape[1])[:] = image

    def read(self, slot: int, height: int, width: int) -> Image:
        """A read-only copy of the picture in a slot that the caller owns."""
        image = self._view(slot, height, width).copy()
        image.flags.writeable = False
        return image

    def fits(self, slot: int, height: int, width: int) -> bool:
        """Whether a picture of this size can lie in that slot: what is checked before a message is believed."""
        return 0 <= slot < self.slots and min(height, width) > 0 and height * width * 3 <= self._slot_bytes

    def _view(self, slot: int, height: int, width: int) -> Image:
        if not self.fits(slot, height, width):
            raise ValueError(f"no room for {width}x{height} in slot {slot}")
        return np.ndarray((height, width, 3), np.uint8, self._map, slot * self._slot_bytes)

    def close(self) -> None:
        """Unmaps. May be called twice."""
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
