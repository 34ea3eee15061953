"""The outbox's part for pictures: those that wait for their store, and what is remembered of those it has.

Any thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from streammon.deliver import event_queue
from streammon.deliver.bell import Bell
from streammon.deliver.envelope import Envelope
from streammon.deliver.records import EvidenceRecord, PictureRecord
from streammon.deliver.shared_spool import SharedSpool
from streammon.events import EvidenceKind

_WAITING = ("key", "sha256", "jpeg", "room_id", "incident_id", "tenant", "taken_s", "url", "hits", "passthrough")
_PICTURE = (
    "key", "kind", "sha256", "size_bytes", "room_id", "tenant", "incident_id", "url", "taken_s", "passthrough",
)  # fmt: skip
_WAIT = (
    "SELECT key, 'snapshot', sha256, size_bytes, room_id, tenant, incident_id, url, taken_s, passthrough FROM evidence"
)
_HAVE = f"SELECT {', '.join(_PICTURE)} FROM pictures"  # noqa: S608
_REMEMBER = f"INSERT OR REPLACE INTO pictures VALUES ({', '.join(f':{name}' for name in _PICTURE)})"  # noqa: S608
_ROOM, _TENANT = "room_id = :room_id", "tenant = :tenant"


class OutboxEvidence:
    """Pictures in order of commit. Every method may raise SpoolError."""

    _clock: Callable[[], float]

    def __init__(self, shared: SharedSpool) -> None:
        self._shared = shared

    @property
    def pictures(self) -> Bell:
        """Rung when pictures were committed that are to be stored."""
        return self._shared.pictures

    def pending_evidence(self, limit: int) -> list[EvidenceRecord]:
        """The oldest pictures that are not stored yet, at most `limit`."""
        with self._shared.reading() as db:
            rows = db.execute(
                f"SELECT {', '.join(_WAITING)} FROM evidence ORDER BY position LIMIT ?",  # noqa: S608 - our own names
                (limit,),
            ).fetchall()
        return [EvidenceRecord(**dict(zip(_WAITING, row, strict=True))) for row in rows]

    def evidence_stored(self, key: str, pictures: Sequence[PictureRecord], events: Sequence[Envelope]) -> None:
        """The picture, and its copies, are stored: `pictures` are remembered, and the events that say so committed."""
        with self._shared.writing(news=(self._shared.events,)) as db:
            db.execute("DELETE FROM evidence WHERE key = ?", (key,))
            db.executemany(
                _REMEMBER,
                [asdict(picture) for picture in pictures],
            )
            event_queue.append(db, events, self._clock())

    def evidence_gone(self, keys: Sequence[str], events: Sequence[Envelope]) -> None:
        """The pictures are lost or deleted: they are forgotten, and the events that say so committed."""
        gone = [(key,) for key in keys]
        with self._shared.writing(news=(self._shared.events,)) as db:
            db.executemany("DELETE FROM evidence WHERE key = ?", gone)
            db.executemany("DELETE FROM pictures WHERE key = ?", gone)
            event_queue.append(db, events, self._clock())

    def evidence_depth(self) -> int:
        """How many pictures wait to be stored."""
        with self._shared.reading() as db:
            return int(db.execute("SELECT count(*) FROM evidence").fetchone()[0])

    def pending_bytes(self) -> int:
        """How large the pictures are, together, that wait to be stored."""
        with self._shared.reading() as db:
            return int(db.execute("SELECT coalesce(sum(size_bytes), 0) FROM evidence").fetchone()[0])

    def stored_bytes(self) -> int:
        """How large the pictures are, together, that are remembered as stored."""
        with self._shared.reading() as db:
            return int(db.execute("SELECT coalesce(sum(size_bytes), 0) FROM pictures").fetchone()[0])

    def oldest_pending(self, limit: int) -> list[PictureRecord]:
        """The pictures that have waited longest."""
        return self._pictures(_WAIT + " ORDER BY position LIMIT :limit", {"limit": limit})

    def oldest_stored(self, before_s: float, limit: int) -> list[PictureRecord]:
        """The oldest stored pictures that were taken before a time, in UTC epoch seconds."""
        query = _HAVE + " WHERE taken_s < :before_s ORDER BY taken_s LIMIT :limit"
        return self._pictures(query, {"before_s": before_s, "limit": limit})

    def pictures_of(
        self, *, room_id: str | None, tenant: str | None, before_s: float, limit: int
    ) -> list[PictureRecord]:
        """What waits, else what is stored, of a room, a tenant, or a tenant's room, and was taken before a time."""
        chosen = [clause for clause, value in ((_ROOM, room_id), (_TENANT, tenant)) if value is not None]
        if not chosen:
            raise ValueError("name a room or a tenant")
        where = f"WHERE {' AND '.join(chosen)} AND taken_s < :before_s LIMIT :limit"
        values = {"room_id": room_id, "tenant": tenant, "before_s": before_s, "limit": limit}
        waiting = self._pictures(f"{_WAIT} {where}", values)
        return waiting or self._pictures(f"{_HAVE} {where}", values)

    def wait_stored(self, timeout_s: float) -> bool:
        """Sleep until all pictures committed by now are stored; False where time is up first."""
        with self._shared.reading() as db:
            (last,) = db.execute("SELECT max(position) FROM evidence").fetchone()
        remaining = "SELECT NOT EXISTS (SELECT 1 FROM evidence WHERE position <= ?)"
        return self._shared.wait_until(lambda db: bool(db.execute(remaining, (last,)).fetchone()[0]), timeout_s)

    def _pictures(self, query: str, values: Mapping[str, object]) -> list[PictureRecord]:
        with self._shared.reading() as db:
            rows = db.execute(query, values).fetchall()
        found = [dict(zip(_PICTURE, row, strict=True)) for row in rows]
        return [PictureRecord(**{**row, "kind": EvidenceKind(row["kind"])}) for row in found]


def insert_evidence(db: sqlite3.Connection, records: Sequence[EvidenceRecord]) -> None:
    """Part of a commit. A picture whose key is already waiting is left as it is: the key holds the picture's hash."""
    if not records:
        return
    db.executemany(
        "INSERT INTO evidence (key, sha256, size_bytes, room_id, tenant, incident_id, taken_s, url, passthrough, hits,"
        " jpeg) VALUES (:key, :sha256, length(:jpeg), :room_id, :tenant, :incident_id, :taken_s, :url, :passthrough,"
        " :hits, :jpeg) ON CONFLICT (key) DO NOTHING",
        [asdict(record) for record in records],
    )
