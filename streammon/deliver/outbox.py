"""The outbox: judged means committed. Keeps events until every sink has them, open incidents, pictures, room counters.

One SQLite file, one connection, one lock. Any thread may call; a call takes as long as a disk flush.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from streammon.deliver.envelope import Envelope
from streammon.deliver.records import EvidenceRecord, IncidentRecord
from streammon.deliver.spool import Spool

log = logging.getLogger(__name__)

FORGET_TAKEN = "DELETE FROM events WHERE position <= (SELECT min(position) FROM sinks)"


class Outbox:
    """What was judged and must not be lost. Every method may raise SpoolError.

    `clock` gives UTC epoch seconds: ages must survive a restart, so monotonic time will not do.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._version = 0
        self._spool = Spool(path)

    def commit(
        self,
        events: Sequence[Envelope],
        *,
        incidents: Sequence[IncidentRecord] = (),
        evidence: Sequence[EvidenceRecord] = (),
    ) -> None:
        """Take all of it or none. When this returns it is on the disk, and the sinks will get the events in order.

        A picture whose key is already waiting is left as it is: the key holds the picture's hash.
        """
        now_s = self._clock()
        ended = [(record.incident_id,) for record in incidents if record.state is None]
        with self._changed:
            with self._spool.transaction() as db:
                db.executemany(
                    "INSERT INTO events (committed_at, event_id, type, source, subject, time, dataschema, topic, key,"
                    " content_type, value) VALUES (:committed_at, :event_id, :type, :source, :subject, :time,"
                    " :dataschema, :topic, :key, :content_type, :value)",
                    [{"committed_at": now_s, **asdict(envelope)} for envelope in events],
                )
                db.executemany(
                    "INSERT INTO incidents VALUES (:incident_id, :room_id, :state)"
                    " ON CONFLICT (incident_id) DO UPDATE SET state = excluded.state",
                    [asdict(record) for record in incidents if record.state is not None],
                )
                db.executemany("DELETE FROM incidents WHERE incident_id = ?", ended)
                db.executemany(
                    "INSERT INTO evidence (key, sha256, jpeg, room_id, incident_id) VALUES (:key, :sha256, :jpeg,"
                    " :room_id, :incident_id) ON CONFLICT (key) DO NOTHING",
                    [asdict(record) for record in evidence],
                )
            self._version += 1
            self._changed.notify_all()

    def next_epoch(self, room_id: str) -> int:
        """Begin a new owner epoch of the room and return its number, from 1. Its sessions start anew."""
        with self._changed, self._spool.transaction() as db:
            row = db.execute(
                "INSERT INTO rooms VALUES (?, 1, 0) ON CONFLICT (room_id) DO UPDATE SET epoch = epoch + 1, session = 0"
                " RETURNING epoch",
                (room_id,),
            ).fetchone()
            return int(row[0])

    def set_session(self, room_id: str, session: int) -> None:
        """Remember the room's session within its epoch; `next_epoch` must have been called for it."""
        with self._changed, self._spool.transaction() as db:
            db.execute("UPDATE rooms SET session = ? WHERE room_id = ?", (session, room_id))

    def last_session(self, room_id: str) -> int:
        """The last session that was set within the room's epoch; 0 where there was none."""
        with self._changed, self._spool.reading() as db:
            row = db.execute("SELECT session FROM rooms WHERE room_id = ?", (room_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def open_incidents(self) -> list[IncidentRecord]:
        """The incidents that were open at the last commit: what a dead owner left behind. Oldest first."""
        with self._changed, self._spool.reading() as db:
            rows = db.execute("SELECT incident_id, room_id, state FROM incidents ORDER BY rowid").fetchall()
        return [IncidentRecord(incident_id=row[0], room_id=row[1], state=row[2]) for row in rows]

    def register_sinks(self, names: Collection[str]) -> None:
        """Say which sinks there are, at least one: once, before any of them is asked for.

        A new sink gets all events that are still kept. One that is no longer named loses its place, so that it does
        not keep events for ever.
        """
        if not names:
            raise ValueError("without a sink events would be kept for ever")
        with self._changed, self._spool.transaction() as db:
            for (known,) in db.execute("SELECT name FROM sinks").fetchall():
                if known not in names:
                    log.warning("sink %s is no longer configured: gave up %d events", known, _depth(db, known))
                    db.execute("DELETE FROM sinks WHERE name = ?", (known,))
            start = _last_position(db) - int(db.execute("SELECT count(*) FROM events").fetchone()[0])
            db.executemany("INSERT INTO sinks VALUES (?, ?) ON CONFLICT DO NOTHING", [(name, start) for name in names])
            db.execute(FORGET_TAKEN)

    def pending(self, sink: str, limit: int) -> list[tuple[int, Envelope]]:
        """The sink's next events in order of commit, at most `limit`, each with its position."""
        with self._changed, self._spool.reading() as db:
            rows = db.execute(
                "SELECT position, event_id, type, source, subject, time, dataschema, topic, key, content_type, value"
                " FROM events WHERE position > ? ORDER BY position LIMIT ?",
                (_place(db, sink), limit),
            ).fetchall()
        names = ("event_id", "type", "source", "subject", "time", "dataschema", "topic", "key", "content_type", "value")
        return [(row[0], Envelope(**dict(zip(names, row[1:], strict=True)))) for row in rows]

    def acknowledge(self, sink: str, position: int) -> None:
        """The sink has everything up to and including `position`. Events that all sinks have are deleted."""
        with self._changed:
            with self._spool.transaction() as db:
                place = max(position, _place(db, sink))
                db.execute("UPDATE sinks SET position = ? WHERE name = ?", (place, sink))
                db.execute(FORGET_TAKEN)
            self._changed.notify_all()

    def depth(self, sink: str) -> int:
        """How many events the sink has still to take."""
        with self._changed, self._spool.reading() as db:
            return _depth(db, sink)

    def oldest_age_s(self, sink: str) -> float | None:
        """Seconds since the sink's next event was committed; None where it has them all."""
        with self._changed, self._spool.reading() as db:
            row = db.execute(
                "SELECT committed_at FROM events WHERE position > ? ORDER BY position LIMIT 1", (_place(db, sink),)
            ).fetchone()
        return None if row is None else max(0.0, self._clock() - float(row[0]))

    def pending_evidence(self, limit: int) -> list[EvidenceRecord]:
        """The oldest pictures that are not stored yet, at most `limit`."""
        with self._changed, self._spool.reading() as db:
            rows = db.execute(
                "SELECT key, sha256, jpeg, room_id, incident_id FROM evidence ORDER BY position LIMIT ?", (limit,)
            ).fetchall()
        names = ("key", "sha256", "jpeg", "room_id", "incident_id")
        return [EvidenceRecord(**dict(zip(names, row, strict=True))) for row in rows]

    def evidence_done(self, key: str) -> None:
        """The picture is stored: forget it."""
        with self._changed:
            with self._spool.transaction() as db:
                db.execute("DELETE FROM evidence WHERE key = ?", (key,))
            self._changed.notify_all()

    def evidence_depth(self) -> int:
        """How many pictures wait to be stored."""
        with self._changed, self._spool.reading() as db:
            return int(db.execute("SELECT count(*) FROM evidence").fetchone()[0])

    @property
    def version(self) -> int:
        """Changes with every commit. Read it before looking for work, then `wait` for it to change."""
        with self._changed:
            return self._version

    def wait(self, version: int, timeout_s: float) -> None:
        """Sleep until something was committed since `version` was read, or `wake` was called, or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout_s)

    def wake(self) -> None:
        """Let everybody who waits look again, such as for a stop event."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def wait_delivered(self, sink: str, timeout_s: float) -> bool:
        """Sleep until the sink has all that is committed by now; False where time is up first."""
        with self._changed, self._spool.reading() as db:
            last = _last_position(db)
            return self._changed.wait_for(lambda: _place(db, sink) >= last, timeout_s)

    def wait_stored(self, timeout_s: float) -> bool:
        """Sleep until all pictures committed by now are stored; False where time is up first."""
        with self._changed, self._spool.reading() as db:
            (last,) = db.execute("SELECT max(position) FROM evidence").fetchone()
            remaining = "SELECT NOT EXISTS (SELECT 1 FROM evidence WHERE position <= ?)"
            return self._changed.wait_for(lambda: bool(db.execute(remaining, (last,)).fetchone()[0]), timeout_s)

    def close(self) -> None:
        """Give the spool up. May be called twice; whatever uses the outbox must have been closed before."""
        with self._changed:
            self._spool.close()


def _last_position(db: sqlite3.Connection) -> int:
    """The position of the last event ever committed, also where it is deleted by now."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def _place(db: sqlite3.Connection, sink: str) -> int:
    row = db.execute("SELECT position FROM sinks WHERE name = ?", (sink,)).fetchone()
    if row is None:
        raise KeyError(f"sink {sink} is not registered")
    return int(row[0])


def _depth(db: sqlite3.Connection, sink: str) -> int:
    # Positions have no gaps: what is rolled back gives its position back, and only taken events are deleted.
    return _last_position(db) - _place(db, sink)
