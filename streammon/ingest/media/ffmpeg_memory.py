"""Bounds how much FFmpeg may allocate at once, in all of the process: a header of few bytes can ask for gigabytes."""

from __future__ import annotations

import ctypes
import logging
from pathlib import Path

from streammon.ingest.media.bounds import Bounds

_log = logging.getLogger(__name__)

# What FFmpeg needs beside pictures and packets, such as an mp4 file's index: 24 bytes a packet.
_LEAST_BYTES = 64 << 20
# Four bytes of one plane's pixel are more than any codec here has; a packet is put together in growing buffers.
_BYTES_PER_PIXEL = 4
_PACKETS = 4


def bound_allocations(bounds: Bounds) -> None:
    """From now on no single block of FFmpeg's is larger than the largest thing within the bounds needs.

    What would be fails by an error of the one stream that asks for it. PyAV does not hand this on, so it is asked of
    the library itself (`av_max_alloc`, libavutil/mem.h), of as many copies as the process has mapped.
    """
    most = max(_LEAST_BYTES, bounds.picture_px * _BYTES_PER_PIXEL, bounds.packet_bytes * _PACKETS)
    libraries = _mapped("libavutil")
    if not libraries:
        _log.warning("FFmpeg's allocations cannot be bounded: it is no library of its own here")
    for library in libraries:
        ctypes.CDLL(str(library)).av_max_alloc(ctypes.c_size_t(most))


def _mapped(name: str) -> set[Path]:
    """The files that this process has mapped whose names begin so."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = (Path(line.split(maxsplit=5)[5]) for line in lines if name in line)
    return {path for path in paths if path.name.startswith(name)}
