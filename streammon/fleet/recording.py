"""Records what the detectors saw, a line per frame, to a file and to a topic. On a thread of its own for each."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Thread
from typing import Protocol

from streammon.bus import Message, Producer
from streammon.deliver.config import KafkaConfig
from streammon.deliver.kafka import kafka_producer
from streammon.deliver.line_file import append_lines, open_lines
from streammon.entities import Observation, Room
from streammon.errors import DeliveryError, StreammonError
from streammon.fleet.config import RecordsConfig
from streammon.judge.recording import encode_frame
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

# Seconds of a busy engine; a frame's observations are a few KB.
_MAX_WAITING = 2000
_BATCH = 200
_POLL_S = 0.2
_RETRY_S = 1.0
_STOP_WITHIN_S = 10.0
_JSON = (("content-type", b"application/json"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """One frame's record: JSON without a line end."""

    room_id: str
    line: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How many records a place has taken, and why not all; None where it has all."""

    count: int
    reason: str | None = None


class Place(Protocol):
    """Where records go. For one thread."""

    name: str
    """As the configuration calls it, for people."""

    def write(self, records: Sequence[RecordLine]) -> Written:
        """Takes them in order, as many as it can. Raises nothing for what another time may mend."""

    def close(self) -> None:
        """Lets go of everything. May be called twice."""


class RecordFile:
    """Appends lines to `path`. Before it grows beyond `max_bytes` it becomes `path.1`, that `path.2`, up to `keep`."""

    name = "records.file"

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd: int | None = None

    def write(self, records: Sequence[RecordLine]) -> Written:
        """See Place. All or nothing."""
        try:
            self.append(b"".join(record.line + b"\n" for record in records))
        except OSError as error:
            return Written(count=0, reason=error.strerror)
        return Written(count=len(records))

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


class RecordTopic:
    """Publishes lines through a producer, which it owns, keyed by the room. The topic is made where it is missing."""

    name = "records.topic"

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._made = False

    def write(self, records: Sequence[RecordLine]) -> Written:
        """See Place. One that the broker can never take does not hold up those behind it."""
        taken, reason, left = 0, None, [self._message(record) for record in records]
        try:
            self._make()
            while left:
                published = self._producer.publish(left)
                taken, left = taken + published.count, left[published.count :]
                if left and published.refusal is not None:
                    reason, left = published.refusal, left[1:]
        except DeliveryError as error:
            self._made = False  # the broker may come back without it
            return Written(count=taken, reason=str(error))
        return Written(count=taken, reason=reason)

    def close(self) -> None:
        """May be called twice."""
        self._producer.close()

    def _make(self) -> None:
        if not self._made:
            self._producer.ensure_topics([self._topic])
            self._made = True

    def _message(self, record: RecordLine) -> Message:
        return Message(topic=self._topic, key=record.room_id.encode(), value=record.line, headers=_JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    room: Room
    observations: Sequence[Observation]
    shadow: str | None = None


class Recorder:
    """Takes frames' observations on the engine's thread, and has them written. What a place cannot take is counted.

    No place waits for another: each has its own thread and queue.
    """

    def __init__(self, places: Sequence[Place], metrics: Metrics) -> None:
        self._tracks = [_Track(place, metrics) for place in places]

    def start(self) -> None:
        """Starts the threads."""
        for track in self._tracks:
            track.start()

    def take(self, room: Room, observations: Sequence[Observation], shadow: str | None = None) -> None:
        """What was seen in one frame; by a model on trial, where `shadow` names its version.

        Never waits: where a place is too slow, it does not get the frame.
        """
        if observations:
            for track in self._tracks:
                track.take(_Seen(room=room, observations=observations, shadow=shadow))

    def close(self) -> bool:
        """Writes what waits and stops; False where that took too long. May be called twice."""
        for track in self._tracks:
            track.end()
        ended = [track.join() for track in self._tracks]
        return all(ended)


class _Track:
    """One place's queue and thread."""

    def __init__(self, place: Place, metrics: Metrics) -> None:
        self._place = place
        self._dropped = metrics.records_dropped
        self._waiting: Queue[_Seen] = Queue(_MAX_WAITING)
        self._ending = Flag()
        self._failing = False
        self._thread = Thread(target=self._run, name=place.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self, seen: _Seen) -> None:
        try:
            self._waiting.put_nowait(seen)
        except Full:
            self._dropped.inc()

    def end(self) -> None:
        """From now on it only writes what waits."""
        self._ending.set()

    def join(self) -> bool:
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (batch := self._batch()) or not self._ending.is_set():
                if batch and not self._write(batch) and self._ending.wait(_RETRY_S):
                    self._dropped.inc(self._waiting.qsize())
                    break
        except Exception:  # noqa: BLE001 - the thread's top frame
            _log.exception("%s: nothing is recorded any more", self._place.name)
        finally:
            self._place.close()

    def _batch(self) -> list[_Seen]:
        """What waits; nothing where nothing came for a moment."""
        batch: list[_Seen] = []
        with suppress(Empty):
            batch.append(self._waiting.get(timeout=_POLL_S))
            while len(batch) < _BATCH:
                batch.append(self._waiting.get_nowait())
        return batch

    def _write(self, batch: Sequence[_Seen]) -> bool:
        """False where the place takes nothing now, and should be left alone for a while."""
        written = self._place.write([_line(seen) for seen in batch])
        self._dropped.inc(len(batch) - written.count)
        if written.reason is not None and not self._failing:
            _log.error("%s: not all is recorded: %s", self._place.name, written.reason)
        if written.reason is None and self._failing:
            _log.info("%s: recording again", self._place.name)
        self._failing = written.reason is not None
        return written.count > 0


def _line(seen: _Seen) -> RecordLine:
    return RecordLine(room_id=seen.room.room_id, line=encode_frame(seen.room, seen.observations, seen.shadow))


def build_recorder(records: RecordsConfig, kafka: KafkaConfig, metrics: Metrics) -> Recorder | None:
    """What records as configured; None where nothing is to be recorded.

    Raises StreammonError for a topic without a broker, or where the password is not where it should be.
    """
    places: list[Place] = []
    if records.file is not None:
        places.append(RecordFile(records.file, max_bytes=records.max_bytes, keep=records.keep))
    if records.topic is not None:
        if kafka.bootstrap is None:
            raise StreammonError("records.topic needs a broker: set kafka.bootstrap, or leave records.topic out")
        places.append(RecordTopic(kafka_producer(kafka, kafka.bootstrap), records.topic))
    return Recorder(places, metrics) if places else None
