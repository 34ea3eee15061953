"""The spool file: opens SQLite safely, runs transactions, turns its errors into SpoolErrors. One thread at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from streammon.deliver.spool_migrations import VERSION, migrate
from streammon.errors import SpoolError

APPLICATION_ID = 0x73746D6E
DAMAGE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
CURES = {
    sqlite3.SQLITE_NOTADB: "move it away to start a new one",
    sqlite3.SQLITE_CORRUPT: "move it away to start a new one",
    sqlite3.SQLITE_BUSY: "another process has it open: give each engine a spool of its own",
    sqlite3.SQLITE_FULL: "free space on its disk",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "make the file and its folder writable",
    sqlite3.SQLITE_IOERR: "look at its disk",
}
"""SQLite's primary result code (https://sqlite.org/rescode.html) → what to do."""


class Spool:
    """One process's hold on a spool file, which is created where missing, readable by its owner only.

    Raises SpoolError, here and from `transaction`, with the path and the cure in one line. Not safe for threads at the
    same time: its owner has the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._durable = True
        with self._translated():
            self._db = self._open()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing: committed, and on the disk, when the block is left; rolled back where it raises.

        Where it need not be `durable` a power cut, but no crash of ours, may undo it until the next one that is.
        """
        with self._translated():
            self._set_durable(durable)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one query."""
        with self._translated():
            yield self._db

    def close(self) -> None:
        """Give the file up. May be called twice."""
        with self._translated():
            self._db.close()

    def _set_durable(self, durable: bool) -> None:
        if durable != self._durable:
            self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # isolation_level None: we say BEGIN and COMMIT ourselves.
        db = sqlite3.connect(self.path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            # The file belongs to one process alone: two would each deliver the same events.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA journal_size_limit = 67108864")
            self._check_version(db)
        except BaseException:
            db.close()
            raise
        return db

    def _check_version(self, db: sqlite3.Connection) -> None:
        application_id, version, tables = (
            db.execute(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
        )
        if tables == 0:
            db.executescript(resources.files("streammon.deliver").joinpath("spool.sql").read_text(encoding="utf-8"))
        elif application_id != APPLICATION_ID:
            raise SpoolError(f"spool {self.path}: is another program's database: name another file")
        elif version > VERSION:
            reason = f"has version {version}, this streammon knows {VERSION}"
            raise SpoolError(f"spool {self.path}: {reason}: run the newer streammon that wrote it")
        elif version < VERSION:
            migrate(db, version)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason, cure = error.strerror, "make the file and its folder writable"
            raise SpoolError(f"spool {self.path}: {reason}: {cure}") from error
        except sqlite3.Error as error:
            raise SpoolError(f"spool {self.path}: {error}: {CURES.get(_code(error), 'restart streammon')}") from error


def is_damaged(error: SpoolError) -> bool:
    """Whether it says that the file's content is broken, rather than that it cannot be had."""
    return isinstance(error.__cause__, sqlite3.Error) and _code(error.__cause__) in DAMAGE


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the module itself raised it."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
