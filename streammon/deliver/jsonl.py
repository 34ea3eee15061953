"""The sink that appends events to a file, one CloudEvent as JSON per line. On its deliverer's thread."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from streammon.deliver.disk import sync_folder
from streammon.deliver.envelope import Envelope
from streammon.deliver.line_file import append_lines, open_lines
from streammon.errors import DeliveryError


class JsonlSink:
    """Appends to `path`, flushed to the disk before events count as taken. A file that was moved away is begun anew.

    A line that was cut off by a crash is ended, so that only it is unreadable: its event comes again. Before the file
    grows beyond `max_bytes` it is renamed to `name-20261123T071500.123456Z.jsonl`, and of such files all but the last
    `keep` are deleted; None means never, and none. `clock` gives UTC epoch seconds.
    """

    name = "jsonl"

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int | None = None,
        keep: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._clock = clock
        self._fd: int | None = None

    def send(self, envelopes: Sequence[Envelope]) -> int:
        """Append all or nothing; see `Sink.send`."""
        lines = b"".join(envelope.structured() + b"\n" for envelope in envelopes)
        try:
            fd = self._current()
            if self._is_full(fd, len(lines)):
                self._rotate()
                fd = self._current()
            append_lines(fd, lines, durable=True)
        except OSError as error:
            self.close()
            raise DeliveryError(f"{self._path}: {error.strerror}: make it writable, with free space") from error
        return len(envelopes)

    def close(self) -> None:
        """Close the file. May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _is_full(self, fd: int, more_bytes: int) -> bool:
        size = os.fstat(fd).st_size
        return self._max_bytes is not None and size > 0 and size + more_bytes > self._max_bytes

    def _rotate(self) -> None:
        """A crash at any point leaves every line in a file: the name changes at once, and the next file is opened."""
        self.close()
        at_s = self._clock()
        while (former := self._former(at_s)).exists():
            at_s += 1e-6
        self._path.rename(former)
        sync_folder(self._path.parent)
        self._forget_old()

    def _former(self, at_s: float) -> Path:
        utc = datetime.fromtimestamp(at_s, UTC)
        return self._path.with_name(f"{self._path.stem}-{utc:%Y%m%dT%H%M%S.%fZ}{self._path.suffix}")

    def _forget_old(self) -> None:
        if self._keep is None:
            return
        stem, suffix = re.escape(self._path.stem), re.escape(self._path.suffix)
        ours = re.compile(rf"{stem}-\d{{8}}T\d{{6}}\.\d{{6}}Z{suffix}")
        former = sorted(path for path in self._path.parent.iterdir() if ours.fullmatch(path.name))
        for path in former[: -self._keep]:
            path.unlink(missing_ok=True)

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
        fd = open_lines(self._path, 0o644)
        try:
            if os.fstat(fd).st_size == 0:
                sync_folder(self._path.parent)
        except OSError:
            os.close(fd)
            raise
        return fd
