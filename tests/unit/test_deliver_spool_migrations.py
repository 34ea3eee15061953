"""A spool that an older streammon wrote is brought up to date, whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from streammon.deliver import spool_migrations
from streammon.deliver.envelope import Importance
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import IncidentRecord
from streammon.deliver.spool_migrations import VERSION
from streammon.errors import SpoolError

VERSION_1 = """
CREATE TABLE rooms (
    room_id TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    session INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    committed_at REAL NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    time TEXT NOT NULL,
    dataschema TEXT NOT NULL,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    content_type TEXT NOT NULL,
    value BLOB NOT NULL
);
CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE incidents (
    incident_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    state BLOB NOT NULL
);
CREATE TABLE evidence (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL,
    jpeg BLOB NOT NULL,
    room_id TEXT NOT NULL,
    incident_id TEXT NOT NULL
);
PRAGMA application_id = 0x73746D6E;
PRAGMA user_version = 1;
"""
"""What streammon 0.1 wrote, word for word."""
EVENTS = [
    ("streammon.violation.v1", b'{"phase":"start"}', Importance.KEPT),
    ("streammon.violation.v1", b'{"phase":"update"}', Importance.UPDATE),
    ("streammon.stream.v1", b'{"state":"streaming"}', Importance.STREAM),
    ("streammon.violation.v1", b'{"phase":"end"}', Importance.KEPT),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("INSERT INTO rooms VALUES ('room', 7, 3)")
        for number, (kind, value, _) in enumerate(EVENTS, 1):
            names = (
                f"id:{number}",
                kind,
                "/w",
                "room",
                "2025-03-04T05:06:07Z",
                "urn:x",
                "t",
                "room",
                "application/json",
            )
            db.execute(
                "INSERT INTO events VALUES (?, 1000.0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (number + 40, *names, value)
            )
        db.execute("INSERT INTO sinks VALUES ('kafka', 41), ('jsonl', 40)")
        db.execute("INSERT INTO incidents VALUES ('i', 'room', CAST('{}' AS BLOB))")
        db.execute(
            "INSERT INTO evidence (key, sha256, jpeg, room_id, incident_id) VALUES ('k', 'ab', x'FFD8', 'room', 'i')"
        )
        db.commit()
    return path


def columns(path: Path) -> dict[str, list[tuple[str, str, int]]]:
    """A table, view or index → its columns: name, type, whether it must have a value."""
    with closing(sqlite3.connect(path)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
        found = {name: [tuple(row[1:4]) for row in db.execute(f"PRAGMA table_info({name})")] for name in names}
        indexes = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql NOT NULL")]
        for name in indexes:
            found[name] = [(row[2], "", 0) for row in db.execute(f"PRAGMA index_info({name})")]
    return found


def test_nothing_is_lost_on_the_way(path: Path) -> None:
    with closing(Outbox(path)) as outbox:
        outbox.register_sinks(["kafka", "jsonl"])
        pending = outbox.pending("jsonl", 9)

        assert [(taken.type, taken.value, taken.importance) for _, taken in pending] == EVENTS
        assert [position for position, _ in pending] == [41, 42, 43, 44]
        assert (outbox.depth("kafka"), outbox.depth("jsonl")) == (3, 4)
        assert outbox.open_incidents() == [IncidentRecord(incident_id="i", room_id="room", state=b"{}")]
        assert [(record.key, record.jpeg) for record in outbox.pending_evidence(9)] == [("k", b"\xff\xd8")]
        assert outbox.next_epoch("room") == 8
        assert outbox.set_aside is None


def test_the_sums_are_right_so_that_the_bound_holds(path: Path) -> None:
    with closing(Outbox(path, max_bytes=1)) as outbox:
        outbox.register_sinks(["kafka", "jsonl"])
        outbox.commit([])

        assert [taken.importance for _, taken in outbox.pending("jsonl", 9)] == [Importance.KEPT, Importance.KEPT]
        assert (outbox.depth("kafka"), outbox.depth("jsonl")) == (1, 2)


def test_an_old_file_becomes_what_a_new_one_is(path: Path, tmp_path: Path) -> None:
    Outbox(path).close()
    Outbox(tmp_path / "new.db").close()

    assert columns(path) == columns(tmp_path / "new.db")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = columns(path)
    broken = f"{spool_migrations._STEPS[1]}; CREATE TABLE rooms (x)"
    monkeypatch.setattr(spool_migrations, "_STEPS", {1: broken})
    with pytest.raises(SpoolError, match="already exists"):
        Outbox(path)
    monkeypatch.undo()

    assert columns(path) == before
    Outbox(path).close()
