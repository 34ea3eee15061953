"""The spool under one lock, and the waiting for it to change. Any thread; a call takes as long as a disk flush.

A spool that turns out to be damaged, at the start or later, is set aside and a new one begun.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from streammon.deliver.bell import Bell
from streammon.deliver.spool import Spool, is_damaged
from streammon.deliver.spool_rescue import SetAside, probe, salvage, set_aside
from streammon.errors import SpoolError

log = logging.getLogger(__name__)


class SharedSpool:
    """What the parts of the outbox share: a connection, a lock, two bells. Every method may raise SpoolError.

    `events` and `pictures` are rung when some were committed, each for those who move them on: events are many and
    pictures few, so that one bell for both would wake the evidence store for nothing.
    `restore` is called, in the transaction that begins a new spool in mid-run, to put in what its owner knows by heart.
    `clock` gives UTC epoch seconds.
    """

    def __init__(self, path: Path, restore: Callable[[sqlite3.Connection], None], clock: Callable[[], float]) -> None:
        self.path = path
        self.set_aside: SetAside | None = None
        self._restore = restore
        self._clock = clock
        lock = threading.RLock()
        self.events, self.pictures = Bell(lock), Bell(lock)
        self._changed = threading.Condition(lock)
        self._spool: Spool | None = None
        self._closed = False
        with self._changed:
            self._opened()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nobody else gets at the spool meanwhile: for what must change together with a transaction."""
        with self._changed:
            yield

    @contextmanager
    def writing(self, *, news: Collection[Bell] = (), durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; when it is done, those bells are rung, and who waits in `wait_until` asks again.

        Where it need not be `durable` a power cut may undo it. Raises SpoolError also where the spool was found to be
        damaged and a new one begun: the same call may succeed then.
        """
        with self._changed:
            with self._replacing_damaged(), self._opened().transaction(durable=durable) as db:
                yield db
            for bell in news:
                bell.wake()
            self._changed.notify_all()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries that belong together."""
        with self._changed, self._replacing_damaged(), self._opened().reading() as db:
            yield db

    def wait_until(self, done: Callable[[sqlite3.Connection], bool], timeout_s: float) -> bool:
        """Sleep until `done`, asked after every change; False where time is up first."""

        def asked() -> bool:
            with self.reading() as db:  # anew each time: the spool may be another one by now
                return done(db)

        with self._changed:
            return self._changed.wait_for(asked, timeout_s)

    def close(self) -> None:
        """Give the spool up. May be called twice; whatever uses it must have been closed before."""
        with self._changed:
            self._closed = True
            self._give_up()

    def _give_up(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def _opened(self) -> Spool:
        if self._closed:
            raise SpoolError(f"spool {self.path}: is closed: restart streammon")
        if self._spool is None:
            try:
                self._spool = self._probed()
            except SpoolError as error:
                if not is_damaged(error):
                    raise
                self._begin_anew(error)
        assert self._spool is not None  # noqa: S101
        return self._spool

    def _probed(self) -> Spool:
        spool = Spool(self.path)
        try:
            with spool.reading() as db:
                probe(db)
        except SpoolError:
            spool.close()
            raise
        return spool

    @contextmanager
    def _replacing_damaged(self) -> Iterator[None]:
        try:
            yield
        except SpoolError as error:
            if self._spool is None or not is_damaged(error):
                raise
            self._begin_anew(error)
            raise SpoolError(f"spool {self.path}: was {self.set_aside}; a new one is begun") from error

    def _begin_anew(self, error: SpoolError) -> None:
        self._give_up()
        aside = set_aside(self.path, self._clock())
        self._spool = Spool(self.path)
        with self._spool.transaction() as db:
            saved, whole = salvage(aside, db)
            self._restore(db)
        self.set_aside = SetAside(path=aside, reason=str(error.__cause__), saved=saved, whole=whole)
        log.error("spool %s was %s", self.path, self.set_aside)
