"""Keeps what was built from a kind's lists up to date while detectors run. A thread looks at the files every second."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Generic, TypeVar

from streammon.errors import LibraryError
from streammon.library.listing import EmbeddingModel, Listing
from streammon.library.store import LibraryStore, Stamp

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_STOPS_WITHIN_S = 10.0

Built = TypeVar("Built")
Build = Callable[[Sequence[Listing]], Built]


class LibraryWatch(Generic[Built]):
    """What `build` makes of the lists as they are, swapped whole when they change.

    A list that is damaged, or that another model made, stays as it was, and is told once; a list that is removed goes.
    """

    def __init__(self, store: LibraryStore, model: EmbeddingModel, build: Build[Built]) -> None:
        """Raises LibraryError with all that is wrong with any list: a start is the time to say so."""
        self._store = store
        self._model = model
        self._build = build
        self._stamps: Stamp = store.stamp()
        self._read: dict[str, Listing] = {}
        if problems := self._read_anew(store.names()):
            raise LibraryError("\n".join(problems))
        self._current = build(tuple(self._read.values()))
        self._stop = Event()
        self._thread = Thread(target=self._run, name=f"library-{store.kind}", daemon=True)
        self._thread.start()

    @property
    def current(self) -> Built:
        """As the lists are now, give or take a second."""
        return self._current

    def look(self) -> None:
        """Reads anew what has changed. Its thread calls it; a test may. Raises LibraryError where it cannot look."""
        stamps = self._store.stamp()
        changed = {name for name, *_ in set(stamps) ^ set(self._stamps)}
        if not changed:
            return
        problems = self._read_anew([name.rpartition(".")[0] for name in sorted(changed)])
        self._stamps = stamps
        self._current = self._build(tuple(listing for _, listing in sorted(self._read.items())))
        _log.info("%s lists read anew: %s", self._store.kind, ", ".join(sorted(changed)))
        for problem in problems:
            _log.error("a list stays as it was: %s", problem)

    def close(self) -> None:
        """Ends the thread. May be called twice."""
        self._stop.set()
        self._thread.join(_STOPS_WITHIN_S)

    def _run(self) -> None:
        told = ""
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self.look()
                told = ""
            except LibraryError as error:
                if str(error) != told:
                    _log.error("the lists stay as they were: %s", error)
                told = str(error)
            except Exception:  # noqa: BLE001 - the thread's top frame
                _log.exception("the %s lists cannot be looked at", self._store.kind)

    def _read_anew(self, names: Sequence[str]) -> list[str]:
        """Returns all that is wrong."""
        problems, there = [], set(self._store.names())
        for name in names:
            if name not in there:
                self._read.pop(name, None)
                continue
            try:
                self._read[name] = self._store.read(name, self._model)
            except LibraryError as error:
                problems.append(str(error))
        return problems
