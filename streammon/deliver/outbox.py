"""The outbox: judged means committed. Keeps events until every sink has them, open incidents, pictures, room counters.

One SQLite file, one connection, one lock. Any thread may call; a call takes as long as a disk flush.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from streammon.deliver import event_queue
from streammon.deliver.envelope import Envelope, Importance
from streammon.deliver.outbox_evidence import OutboxEvidence, insert_evidence
from streammon.deliver.records import EvidenceRecord, IncidentRecord
from streammon.deliver.shared_spool import SharedSpool
from streammon.deliver.spool_rescue import SetAside
from streammon.errors import SpoolError

log = logging.getLogger(__name__)

MAX_BYTES = 2 << 30
RESERVE_BYTES = 16 << 20
"""Of the disk, never filled by commits: an acknowledgement, which frees space, needs some first (SQLite's log)."""

_PUT_INCIDENT = (
    "INSERT INTO incidents (incident_id, room_id, state) VALUES (?, ?, ?)"
    " ON CONFLICT (incident_id) DO UPDATE SET state = excluded.state"
)


class Outbox(OutboxEvidence):
    """What was judged and must not be lost. Every method may raise SpoolError.

    `max_bytes` bounds the events, not the pictures. Where there is no room, updates of incidents give way, oldest
    first, then stream events; starts and ends never, and then judging waits. `clock` gives UTC epoch seconds: ages must
    survive a restart, so monotonic time will not do.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time) -> None:
        self._folder = path.parent
        self._max_bytes = max_bytes
        self._clock = clock
        self._gave_way: Counter[Importance] = Counter()
        self._sinks: tuple[str, ...] = ()
        self._open: dict[str, IncidentRecord] = {}
        self._last = 0
        super().__init__(SharedSpool(path, self._restore, clock))
        self._open = {record.incident_id: record for record in self.open_incidents()}

    @property
    def set_aside(self) -> SetAside | None:
        """The spool that was found damaged in this run, the last one; None where none was."""
        return self._shared.set_aside

    @property
    def gave_way(self) -> Mapping[str, int]:
        """How many events gave way in this run, the spool being full: `update` and `stream` → number."""
        with self._shared.hold():
            return {kind.name.lower(): self._gave_way[kind] for kind in (Importance.UPDATE, Importance.STREAM)}

    def commit(
        self,
        events: Sequence[Envelope],
        *,
        incidents: Sequence[IncidentRecord] = (),
        evidence: Sequence[EvidenceRecord] = (),
    ) -> None:
        """Take all of it or none. When this returns it is on the disk, and the sinks will get the events in order.

        One flush of the disk, however many events: hand it all that is ready. An event that gives way leaves a gap in
        `seq`; the rest of its commit stands.
        """
        shared = self._shared
        with shared.hold():
            with shared.writing(news=(shared.events, shared.pictures) if evidence else (shared.events,)) as db:
                self._keep_reserve(db)
                appended = event_queue.append(db, events, self._clock())
                given = self._make_room(db, events, appended)
                _put_incidents(db, incidents)
                insert_evidence(db, evidence)
            self._note(given, incidents, appended.last)

    def next_epoch(self, room_id: str) -> int:
        """Begin a new owner epoch of the room and return its number.

        Greater than any before, also by another spool file of the room: one that a file does not know yet begins at the
        seconds since 2020 at which the file was made.
        """
        with self._shared.writing() as db:
            row = db.execute(
                "INSERT INTO rooms SELECT ?, value + 1 FROM facts WHERE name = 'epoch_floor'"
                " ON CONFLICT (room_id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
                (room_id,),
            ).fetchone()
        return int(row[0])

    def open_incidents(self) -> list[IncidentRecord]:
        """The incidents that were open at the last commit: what a dead owner left behind. Oldest first."""
        with self._shared.reading() as db:
            rows = db.execute("SELECT incident_id, room_id, state FROM incidents ORDER BY rowid").fetchall()
        return [IncidentRecord(incident_id=row[0], room_id=row[1], state=row[2]) for row in rows]

    def register_sinks(self, names: Collection[str]) -> None:
        """Say which sinks there are, at least one: once, before any of them is asked for.

        A new sink gets all events that are still kept. One that is no longer named loses its place, so that it does
        not keep events for ever.
        """
        if not names:
            raise ValueError("without a sink events would be kept for ever")
        self._sinks = tuple(names)
        with self._shared.writing() as db:
            for name, left in db.execute("SELECT name, behind FROM sinks").fetchall():
                if name not in names:
                    log.warning("sink %s is no longer configured: gave up %d events", name, left)
                    db.execute("DELETE FROM sinks WHERE name = ?", (name,))
            for name in names:
                event_queue.add_sink(db, name)
            more = event_queue.forget_taken(db)
        self._forget_taken(more)

    def pending(self, sink: str, limit: int) -> list[tuple[int, Envelope]]:
        """The sink's next events in order of commit, at most `limit`, each with its position."""
        with self._shared.reading() as db:
            return event_queue.take(db, sink, limit)

    def acknowledge(self, sink: str, position: int) -> None:
        """The sink has everything up to and including `position`. Events that all sinks have are deleted.

        A power cut may undo it: then the events come again.
        """
        with self._shared.writing(durable=False) as db:
            event_queue.acknowledge(db, sink, position)
            more = event_queue.forget_taken(db)
        self._forget_taken(more)

    def depth(self, sink: str) -> int:
        """How many events the sink has still to take."""
        with self._shared.reading() as db:
            return event_queue.behind(db, sink)

    def oldest_age_s(self, sink: str) -> float | None:
        """Seconds since the sink's next event was committed; None where it has them all."""
        with self._shared.reading() as db:
            row = db.execute(
                "SELECT committed_at FROM events WHERE position > ? ORDER BY position LIMIT 1",
                (event_queue.place(db, sink),),
            ).fetchone()
        return None if row is None else max(0.0, self._clock() - float(row[0]))

    @property
    def version(self) -> int:
        """Changes with every commit. Read it before looking for work, then `wait` for it to change."""
        return self._shared.events.version

    def wait(self, version: int, timeout_s: float) -> None:
        """Sleep until something was committed since `version` was read, or `wake` was called, or time is up."""
        self._shared.events.wait(version, timeout_s)

    def wake(self) -> None:
        """Let everybody who waits look again, such as for a stop event."""
        self._shared.events.wake()
        self._shared.pictures.wake()

    def wait_delivered(self, sink: str, timeout_s: float) -> bool:
        """Sleep until the sink has all that is committed by now; False where time is up first."""
        with self._shared.reading() as db:
            last = event_queue.last_position(db)
        return self._shared.wait_until(lambda db: event_queue.has_all(db, sink, last), timeout_s)

    def close(self) -> None:
        """Give the spool up. May be called twice; whatever uses the outbox must have been closed before."""
        self._shared.close()

    def _forget_taken(self, more: bool) -> None:
        """What is left of it, a little in a transaction."""
        while more:
            with self._shared.writing(durable=False) as db:
                more = event_queue.forget_taken(db)

    def _keep_reserve(self, db: sqlite3.Connection) -> None:
        free_bytes = shutil.disk_usage(self._folder).free
        if free_bytes >= RESERVE_BYTES:
            return
        pages, page_bytes = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
        if free_bytes + pages * page_bytes < RESERVE_BYTES:
            raise SpoolError(f"spool {self._shared.path}: database or disk is full: free space on its disk")

    def _make_room(
        self, db: sqlite3.Connection, new: Sequence[Envelope], appended: event_queue.Appended
    ) -> Mapping[Importance, int]:
        if appended.held_bytes <= self._max_bytes:
            return {}
        given = event_queue.give_way(db, appended.held_bytes - self._max_bytes)
        must_stay = any(envelope.importance is Importance.KEPT for envelope in new)
        # What is alone larger than the bound is taken by a spool that holds nothing else: it could never be otherwise.
        if must_stay and event_queue.held_bytes(db) > max(self._max_bytes, appended.new_bytes):
            reason = f"is full: {self._max_bytes} bytes of starts and ends that a sink has not taken"
            raise SpoolError(f"spool {self._shared.path}: {reason}: bring the sink back, or allow more")
        return given

    def _note(self, given: Mapping[Importance, int], incidents: Sequence[IncidentRecord], last: int) -> None:
        """What must be known by heart, should the spool turn out to be damaged. Called with the lock."""
        if given:
            if not self._gave_way:
                log.warning("spool %s is full: events give way, and leave gaps in seq", self._shared.path)
            self._gave_way.update(given)
        self._last = last
        for record in incidents:
            if record.state is None:
                self._open.pop(record.incident_id, None)
            else:
                self._open[record.incident_id] = record

    def _restore(self, db: sqlite3.Connection) -> None:
        if self._last:
            # In mid-run the judge's word counts: a salvaged incident may be one that has ended since.
            db.execute("DELETE FROM incidents")
            _put_incidents(db, self._open.values())
        event_queue.begin_behind(db, self._last)  # a sink may be about to acknowledge a position of the old file
        for name in self._sinks:
            event_queue.add_sink(db, name)


def _put_incidents(db: sqlite3.Connection, records: Iterable[IncidentRecord]) -> None:
    """Part of a commit: each is open as it says, or over."""
    for record in records:
        if record.state is None:
            db.execute("DELETE FROM incidents WHERE incident_id = ?", (record.incident_id,))
        else:
            db.execute(_PUT_INCIDENT, (record.incident_id, record.room_id, record.state))
