"""The sink that appends events to a file, one CloudEvent as JSON per line. On its deliverer's thread."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from streammon.deliver.disk import sync_folder
from streammon.deliver.envelope import Envelope
from streammon.errors import DeliveryError


class JsonlSink:
    """Appends to `path`, flushed to the disk before events count as taken. A file that was moved away is begun anew.

    A line that was cut off by a crash is ended, so that only it is unreadable: its event comes again.
    """

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def send(self, envelopes: Sequence[Envelope]) -> int:
        """Append all or nothing; see `Sink.send`."""
        lines = b"".join(envelope.structured() + b"\n" for envelope in envelopes)
        try:
            self._append(self._current(), lines)
        except OSError as error:
            self.close()
            raise DeliveryError(f"{self._path}: {error.strerror}: make it writable, with free space") from error
        return len(envelopes)

    def close(self) -> None:
        """Close the file. May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _append(self, fd: int, lines: bytes) -> None:
        size = os.fstat(fd).st_size
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, size)  # as on a full disk: leave no half line
            raise

    def _current(self) -> int:
        """The open file at the path, opened where there is none or the path now names another file."""
        if self._fd is not None and not self._is_at_path(self._fd):
            self.close()
        if self._fd is None:
            self._fd = self._open()
        return self._fd

    def _is_at_path(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(fd).st_size
            if size == 0:
                sync_folder(self._path.parent)
            elif os.pread(fd, 1, size - 1) != b"\n":
                os.write(fd, b"\n")
        except OSError:
            os.close(fd)
            raise
        return fd
