"""Records what the detectors saw, a line per frame, to a file that is begun anew when full. On a thread of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Thread
from typing import Self

from streammon.deliver.line_file import append_lines, open_lines
from streammon.entities import Observation, Room
from streammon.judge.recording import encode_frame
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

# Seconds of a busy engine; a frame's observations are a few KB.
_MAX_WAITING = 2000
_BATCH = 200
_STOP_WITHIN_S = 10.0


class RecordFile:
    """Appends lines to `path`. Before it grows beyond `max_bytes` it becomes `path.1`, that `path.2`, up to `keep`."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd: int | None = None

    def append(self, lines: bytes) -> None:
        """All or nothing. Raises OSError; the next call opens the file anew. Not flushed to the disk."""
        try:
            fd = self._opened()
            size = os.fstat(fd).st_size
            if size and size + len(lines) > self._max_bytes:
                self._rotate()
                fd = self._opened()
            append_lines(fd, lines, durable=False)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _opened(self) -> int:
        if self._fd is None:
            # What was read in the pictures stands in it in full, so it is its owner's only.
            self._fd = open_lines(self._path, 0o600)
        return self._fd

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._former(number).rename(self._former(number + 1))
        self._path.rename(self._former(1))

    def _former(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    room: Room
    observations: Sequence[Observation]


class Recorder:
    """Takes frames' observations on the engine's thread, and writes them on its own. What it cannot is counted."""

    def __init__(self, file: RecordFile, metrics: Metrics) -> None:
        self._file = file
        self._dropped = metrics.records_dropped
        self._waiting: Queue[_Seen | None] = Queue(_MAX_WAITING)
        self._failing = False
        self._thread = Thread(target=self._run, name="records", daemon=True)

    @classmethod
    def to(cls, path: Path, max_bytes: int, keep: int, metrics: Metrics) -> Self:
        """One that writes to that file; see RecordFile."""
        return cls(RecordFile(path, max_bytes=max_bytes, keep=keep), metrics)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def take(self, room: Room, observations: Sequence[Observation]) -> None:
        """What was seen in one frame. Never waits: where the disk is too slow, the frame is not recorded."""
        if not observations:
            return
        try:
            self._waiting.put_nowait(_Seen(room=room, observations=observations))
        except Full:
            self._dropped.inc()

    def close(self) -> bool:
        """Writes what waits and stops; False where that took too long. May be called twice."""
        if self._thread.ident is not None and self._thread.is_alive():
            with suppress(Full):
                self._waiting.put(None, timeout=_STOP_WITHIN_S)
            self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (batch := self._batch()) is not None:
                self._write(batch)
        except Exception:  # noqa: BLE001 - the thread's top frame
            _log.exception("nothing is recorded any more")
        finally:
            self._file.close()

    def _batch(self) -> list[_Seen] | None:
        """What waits, at least one frame's; None where that is the end."""
        first = self._waiting.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _BATCH:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                self._waiting.put(None)  # for the next call; nobody else puts by then
                break
            batch.append(more)
        return batch

    def _write(self, batch: list[_Seen]) -> None:
        lines = b"".join(encode_frame(seen.room, seen.observations) + b"\n" for seen in batch)
        try:
            self._file.append(lines)
        except OSError as error:
            self._dropped.inc(len(batch))
            if not self._failing:
                _log.error("nothing is recorded until the file of `records` can be written: %s", error.strerror)
            self._failing = True
            return
        if self._failing:
            _log.info("recording again")
        self._failing = False
