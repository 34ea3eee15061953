"""Files of lines that only grow: opened so that no half line is continued, written all or nothing. Any thread."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def open_lines(path: Path, mode: int) -> int:
    """The descriptor of a file to append to, made with its folder where missing. Raises OSError.

    A line that a crash cut off is ended, so that only it is unreadable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            os.write(fd, b"\n")
    except OSError:
        os.close(fd)
        raise
    return fd


def append_lines(fd: int, lines: bytes, *, durable: bool) -> None:
    """All or nothing, as on a full disk; flushed to the disk where it is to be `durable`. Raises OSError."""
    size = os.fstat(fd).st_size
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(fd, left) :]
        if durable:
            os.fsync(fd)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)  # leave no half line
        raise
