"""Sets a damaged spool file aside and saves into the new one what can still be read. On whichever thread found it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from streammon.deliver.disk import sync_folder
from streammon.deliver.event_queue import begin_behind
from streammon.deliver.spool_migrations import recount
from streammon.errors import SpoolError

_KEYS = {
    "events": "position",
    "incidents": "rowid",
    "evidence": "position",
    "pictures": "key",
    "sinks": "name",
    "rooms": "room_id",
}
"""A table → the order in which it is stored, so that both ends of a hole in it can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A damaged spool: where it lies now, why, how many rows of each table were saved, and whether all were."""

    path: Path
    reason: str
    saved: Mapping[str, int]
    whole: bool

    def __str__(self) -> str:
        saved = ", ".join(f"{count} {table}" for table, count in self.saved.items())
        rest = "all that it held" if self.whole else "not all that it held: the rest was not delivered"
        return f"damaged ({self.reason}), set aside as {self.path.name}; saved from it: {saved}; {rest}"


def set_aside(path: Path, at_s: float) -> Path:
    """Rename the file and what belongs to it; `at_s` is UTC epoch seconds. Raises SpoolError."""
    utc = datetime.fromtimestamp(at_s, UTC)
    name = f"{path.name}.corrupt-{utc:%Y%m%dT%H%M%SZ}"
    aside, number = path.with_name(name), 1
    while aside.exists():
        aside, number = path.with_name(f"{name}-{number}"), number + 1
    try:
        # The file itself last: a crash in between leaves one that is set aside again, not a new one with an old log.
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                os.replace(f"{path}{suffix}", f"{aside}{suffix}")  # noqa: PTH105 - names that Path cannot append to
        sync_folder(path.parent)
    except OSError as error:
        reason = f"is damaged and cannot be renamed: {error.strerror}"
        raise SpoolError(f"spool {path}: {reason}: make its folder writable") from error
    return aside


def probe(db: sqlite3.Connection) -> None:
    """Read what is read in every run, so that damage shows at the start. Raises sqlite3.Error.

    Of events only their index and the first one: reading all of them would take long.
    """
    for table in ("facts", "rooms", "sinks", "incidents"):
        for _ in db.execute(f"SELECT * FROM {table}"):  # noqa: S608 - ours
            pass
    db.execute("SELECT sum(size_bytes) FROM events INDEXED BY events_by_importance").fetchone()
    db.execute("SELECT * FROM events ORDER BY position LIMIT 1").fetchone()


def salvage(aside: Path, new: sqlite3.Connection) -> tuple[Mapping[str, int], bool]:
    """Copy into the new spool, in its caller's transaction, what of the old one is readable and makes sense.

    Returns how many rows of each table came over, and whether that was all of them.
    """
    saved, whole = dict.fromkeys(_KEYS, 0), True
    try:
        with closing(sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)) as old:
            for table, key in _KEYS.items():
                columns = sorted(_columns(old, table) & _columns(new, table))
                if not columns:
                    continue
                rows = _Rows(old, f"SELECT {', '.join(columns)} FROM {table} ORDER BY {key}")  # noqa: S608 - ours
                saved[table] = _copy(new, table, columns, rows)
                whole = whole and rows.whole
            with suppress(sqlite3.Error):
                begin_behind(new, int(old.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0] or 0))
    except sqlite3.Error:
        whole = False
    _settle(new)
    return saved, whole


class _Rows:
    """A table's rows from its beginning; where that breaks off, those from its end. `whole` if it never did."""

    def __init__(self, db: sqlite3.Connection, query: str) -> None:
        self._db = db
        self._query = query
        self.whole = True

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for direction in ("ASC", "DESC"):
            try:
                yield from self._db.execute(f"{self._query} {direction}")
            except sqlite3.Error:
                self.whole = False
            else:
                return


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _copy(new: sqlite3.Connection, table: str, columns: Sequence[str], rows: _Rows) -> int:
    makes_sense = _SENSE.get(table, _anything)
    places = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - ours
    count = 0
    for row in rows:
        if makes_sense(dict(zip(columns, row, strict=True))):
            count += new.execute(insert, row).rowcount
        else:
            rows.whole = False
    return count


def _anything(_row: Mapping[str, Any]) -> bool:
    return True


def _is_json(content: Any) -> bool:
    # A damaged page may read without an error and hold anything.
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
        return False
    return True


def _is_picture(row: Mapping[str, Any]) -> bool:
    return isinstance(row["jpeg"], bytes) and hashlib.sha256(row["jpeg"]).hexdigest() == row["sha256"]


_SENSE: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "events": lambda row: _is_json(row["value"]),
    "incidents": lambda row: _is_json(row["state"]),
    "evidence": _is_picture,
}


def _settle(new: sqlite3.Connection) -> None:
    """Epochs above all former ones, and no sink beyond the events that it has still to get."""
    # Both files may have been made within a second, and a room begun anew more than once in between.
    new.execute("UPDATE facts SET value = value + 60 WHERE name = 'epoch_floor'")
    new.execute("UPDATE rooms SET epoch = max(epoch, (SELECT value FROM facts WHERE name = 'epoch_floor'))")
    recount(new)
