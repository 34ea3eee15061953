"""The events of the spool, as SQL: put in, taken in order, given up oldest first where there is no room. Pure SQL.

All sums are kept up to date in the same transaction, so nothing here reads more rows than it moves.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from streammon.deliver.envelope import Envelope, Importance

_COLUMNS = tuple(field.name for field in fields(Envelope))
_INSERT = (
    f"INSERT INTO events (committed_at, size_bytes, {', '.join(_COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES (?, ?{', ?' * len(_COLUMNS)})"
)
_values = attrgetter(*_COLUMNS)
_SELECT = f"SELECT position, {', '.join(_COLUMNS)} FROM events WHERE position > ? ORDER BY position LIMIT ?"  # noqa: S608
_ROW_BYTES = 64
"""What SQLite keeps beside an event's own text and value, about."""
_STEP = 100
_FORGET_BYTES = 2 << 20
_FORGET_EVENTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The position of the last event ever committed; the size of what was put in, and of all events."""

    last: int
    new_bytes: int
    held_bytes: int


def append(db: sqlite3.Connection, envelopes: Sequence[Envelope], committed_at: float) -> Appended:
    """Put events at the end, for every sink. One statement for each, and two more: the judge waits for them."""
    if not envelopes:
        return Appended(last=last_position(db), new_bytes=0, held_bytes=held_bytes(db))
    new_bytes, last = 0, 0
    for envelope in envelopes:
        size = size_bytes(envelope)
        last = db.execute(_INSERT, (committed_at, size, *_values(envelope))).lastrowid or last
        new_bytes += size
    db.execute("UPDATE sinks SET behind = behind + ?", (len(envelopes),))
    return Appended(last=last, new_bytes=new_bytes, held_bytes=_add_bytes(db, new_bytes))


def size_bytes(envelope: Envelope) -> int:
    """What the event takes in the spool, about."""
    named = len(envelope.event_id) + len(envelope.source) + len(envelope.subject) + len(envelope.key)
    return _ROW_BYTES + named + len(envelope.value)


def give_way(db: sqlite3.Connection, over_bytes: int) -> Mapping[Importance, int]:
    """Delete what gives way until so much is free, or only what never does is left; how many of each."""
    given: Counter[Importance] = Counter()
    for importance in (Importance.UPDATE, Importance.STREAM):
        while over_bytes > 0 and (victims := _oldest(db, importance, over_bytes)):
            _delete(db, [position for position, _ in victims])
            freed_bytes = sum(size for _, size in victims)
            _add_bytes(db, -freed_bytes)
            over_bytes -= freed_bytes
            given[importance] += len(victims)
    return given


def held_bytes(db: sqlite3.Connection) -> int:
    """The size of all events."""
    return int(db.execute("SELECT value FROM facts WHERE name = 'events_bytes'").fetchone()[0])


def take(db: sqlite3.Connection, sink: str, limit: int) -> list[tuple[int, Envelope]]:
    """The sink's next events, at most `limit`, each with its position."""
    rows = db.execute(_SELECT, (place(db, sink), limit)).fetchall()
    return [(position, _envelope(row)) for position, *row in rows]


def acknowledge(db: sqlite3.Connection, sink: str, position: int) -> None:
    """The sink has all up to `position`; see `forget_taken`."""
    before = place(db, sink)
    if position <= before:
        return
    (taken,) = db.execute(
        "SELECT count(*) FROM events WHERE position > ? AND position <= ?", (before, position)
    ).fetchone()
    db.execute("UPDATE sinks SET position = ?, behind = behind - ? WHERE name = ?", (position, taken, sink))


def forget_taken(db: sqlite3.Connection) -> bool:
    """Delete the oldest events that all sinks have, a few MiB of them. Returns whether there may be more.

    SQLite writes what it deletes over, in its log first: on a full disk only little can be deleted at a time.
    """
    (last,) = db.execute("SELECT min(position) FROM sinks").fetchone()
    freed_bytes, until = 0, None
    for position, size in db.execute(
        "SELECT position, size_bytes FROM events WHERE position <= ? ORDER BY position LIMIT ?", (last, _FORGET_EVENTS)
    ):
        freed_bytes, until = freed_bytes + size, position
        if freed_bytes >= _FORGET_BYTES:
            break
    if until is None:
        return False
    db.execute("DELETE FROM events WHERE position <= ?", (until,))
    _add_bytes(db, -freed_bytes)
    return bool(until < last)


def add_sink(db: sqlite3.Connection, name: str) -> None:
    """A sink that is not known yet begins with all that is kept."""
    (first,) = db.execute("SELECT min(position) FROM events").fetchone()
    start = last_position(db) if first is None else first - 1
    (behind,) = db.execute("SELECT count(*) FROM events").fetchone()
    db.execute("INSERT INTO sinks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (name, start, behind))


def place(db: sqlite3.Connection, sink: str) -> int:
    """The position of the last event that the sink took. Raises KeyError where it is not registered."""
    return _of_sink(db, "position", sink)


def behind(db: sqlite3.Connection, sink: str) -> int:
    """How many events the sink has still to take."""
    return _of_sink(db, "behind", sink)


def has_all(db: sqlite3.Connection, sink: str, position: int) -> bool:
    """Whether the sink has all up to `position` that did not give way."""
    query = "SELECT NOT EXISTS (SELECT 1 FROM events WHERE position > ? AND position <= ?)"
    return bool(db.execute(query, (place(db, sink), position)).fetchone()[0])


def last_position(db: sqlite3.Connection) -> int:
    """The position of the last event ever committed, also where it is deleted by now."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return 0 if row is None else int(row[0])


def begin_behind(db: sqlite3.Connection, position: int) -> None:
    """Let the next event's position be above that one."""
    if last_position(db) < position:
        db.execute("DELETE FROM sqlite_sequence WHERE name = 'events'")
        db.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (position,))


def _of_sink(db: sqlite3.Connection, column: str, sink: str) -> int:
    row = db.execute(f"SELECT {column} FROM sinks WHERE name = ?", (sink,)).fetchone()  # noqa: S608 - ours
    if row is None:
        raise KeyError(f"sink {sink} is not registered")
    return int(row[0])


def _oldest(db: sqlite3.Connection, importance: Importance, over_bytes: int) -> list[tuple[int, int]]:
    """The oldest events of an importance, position and size, as many as free so much, in steps."""
    query = "SELECT position, size_bytes FROM events WHERE importance = ? ORDER BY position LIMIT ?"
    victims: list[tuple[int, int]] = []
    for position, size in db.execute(query, (importance, _STEP)):
        if over_bytes <= 0:
            break
        victims.append((position, size))
        over_bytes -= size
    return victims


def _delete(db: sqlite3.Connection, positions: Sequence[int]) -> None:
    listed = json.dumps(positions)
    db.execute(
        "UPDATE sinks SET behind = behind - (SELECT count(*) FROM json_each(?) WHERE value > sinks.position)", (listed,)
    )
    db.execute("DELETE FROM events WHERE position IN (SELECT value FROM json_each(?))", (listed,))


def _add_bytes(db: sqlite3.Connection, amount: int) -> int:
    """The new sum."""
    query = "UPDATE facts SET value = value + ? WHERE name = 'events_bytes' RETURNING value"
    return int(db.execute(query, (amount,)).fetchone()[0])


def _envelope(row: Sequence[object]) -> Envelope:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Envelope(**{**values, "importance": Importance(values["importance"])})  # type: ignore[arg-type]
