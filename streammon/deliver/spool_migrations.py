"""Brings a spool file of an older version to this one's, in one transaction. The engine's thread, at its start."""

from __future__ import annotations

import sqlite3

VERSION = 2

_TO_2 = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO facts VALUES
    ('epoch_floor', CAST(strftime('%s', 'now') AS INTEGER) - 1577836800),
    ('events_bytes', 0);
ALTER TABLE rooms DROP COLUMN session;
ALTER TABLE events ADD COLUMN importance INTEGER NOT NULL DEFAULT 2;
ALTER TABLE events ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE events SET importance = CASE
    WHEN type = 'streammon.stream.v1' THEN 1
    WHEN json_extract(CAST(value AS TEXT), '$.phase') = 'update' THEN 0
    ELSE 2 END;
CREATE INDEX events_by_importance ON events (importance, position, size_bytes);
ALTER TABLE sinks ADD COLUMN behind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence RENAME TO evidence_1;
CREATE TABLE evidence (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    room_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    taken_s REAL NOT NULL,
    url TEXT,
    passthrough BLOB NOT NULL,
    hits BLOB NOT NULL,
    jpeg BLOB NOT NULL
);
INSERT INTO evidence
    SELECT position, key, sha256, length(jpeg), room_id, 'default', incident_id, strftime('%s', 'now'), NULL,
        CAST('{}' AS BLOB), CAST('[]' AS BLOB), jpeg
    FROM evidence_1;
DROP TABLE evidence_1;
CREATE INDEX evidence_by_size ON evidence (size_bytes);
CREATE TABLE pictures (
    key TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    room_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    url TEXT,
    taken_s REAL NOT NULL,
    passthrough BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX pictures_by_time ON pictures (taken_s, size_bytes);
CREATE INDEX pictures_by_room ON pictures (room_id);
CREATE INDEX pictures_by_tenant ON pictures (tenant);
"""
_STEPS = {1: _TO_2}
"""A version → what leads from it to the next; no statement holds a semicolon within."""


def migrate(db: sqlite3.Connection, version: int) -> None:
    """From `version` to `VERSION`, all or nothing. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in range(version, VERSION):
            for statement in _STEPS[step].split(";"):
                db.execute(statement)
        recount(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def recount(db: sqlite3.Connection) -> None:
    """Make right what `event_queue` keeps up to date: the sums, and the sizes of events that were put in without one.

    Part of a transaction. Reads all events that have no size yet.
    """
    db.execute(
        "UPDATE events SET size_bytes = 64 + length(event_id) + length(source) + length(subject) + length(key)"
        " + length(value) WHERE size_bytes = 0"
    )
    db.execute("UPDATE facts SET value = (SELECT coalesce(sum(size_bytes), 0) FROM events) WHERE name = 'events_bytes'")
    db.execute("UPDATE sinks SET behind = (SELECT count(*) FROM events WHERE position > sinks.position)")
