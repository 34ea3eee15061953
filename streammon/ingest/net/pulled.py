"""Counts the bytes that a thread has pulled for its room: what our own sockets got, else what FFmpeg tells of.

Everything that a room pulls is pulled on one thread, so the count needs no name and no lock.
"""

from __future__ import annotations

from threading import local


class _Pulled(local):
    bytes: int = 0


_pulled = _Pulled()


def count_pulled(size_bytes: int) -> None:
    """So many bytes more came to the calling thread."""
    _pulled.bytes += size_bytes


def pulled_bytes() -> int:
    """How many have come to the calling thread so far."""
    return _pulled.bytes
