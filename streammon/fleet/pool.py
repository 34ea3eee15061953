"""The ingest processes of one supervisor: shared ones for many rooms, and one of its own for a room under suspicion.

Used by the supervisor's thread; `pids` by any.
"""

from __future__ import annotations

import logging
from threading import Thread

from streammon.ingest.config import IngestConfig
from streammon.ingest.rooms.handle import IngestHandle, IngestListener
from streammon.ingest.rooms.mailbox import Mailbox

_log = logging.getLogger(__name__)

_CLOSED_WITHIN_S = 10.0


class IngestPool:
    """Starts processes and ends them. Raises OSError where one cannot be started."""

    def __init__(self, config: IngestConfig, mailbox: Mailbox, listener: IngestListener) -> None:
        self._config = config
        self._mailbox = mailbox
        self._listener = listener
        self._rooms: dict[IngestHandle, set[str]] = {}
        self._alone: set[IngestHandle] = set()
        self._retired: set[IngestHandle] = set()
        self._given_up: dict[IngestHandle, int] = {}
        self._closing: list[Thread] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """Of the processes that watch rooms now or may be given one."""
        return tuple(handle.pid for handle in tuple(self._rooms))

    def shared_for(self, room_id: str) -> IngestHandle:
        """A process for many rooms that has place for this one."""
        places = [h for h, rooms in self._rooms.items() if self._may_take(h, rooms, room_id)]
        handle = min(places, key=lambda h: len(self._rooms[h])) if places else self._start(self._config)
        self._rooms[handle].add(room_id)
        return handle

    def alone_for(self, room_id: str) -> IngestHandle:
        """A new process for this room alone."""
        handle = self._start(self._config.model_copy(update={"max_rooms": 1}))
        self._alone.add(handle)
        self._rooms[handle].add(room_id)
        return handle

    def note_given_up(self, handle: IngestHandle, threads: int) -> None:
        """So many threads of that process were given up and are still there."""
        if handle in self._rooms:
            self._given_up[handle] = threads

    def given_up(self) -> int:
        """How many threads of all processes. Any thread."""
        return sum(tuple(self._given_up.values()))

    def retire(self, handle: IngestHandle) -> bool:
        """Gives the process no more rooms, and ends it when it has none. False where that was so already."""
        if handle in self._retired or handle not in self._rooms:
            return False
        self._retired.add(handle)
        self._end_if_empty(handle)
        return True

    def is_retired(self, handle: IngestHandle) -> bool:
        """Whether the process is to be ended, or has been."""
        return handle in self._retired or handle not in self._rooms

    def left(self, handle: IngestHandle, room_id: str) -> None:
        """The process does not pull the room any more."""
        if handle in self._rooms:
            self._rooms[handle].discard(room_id)
            self._end_if_empty(handle)

    def lost(self, handle: IngestHandle) -> None:
        """The process is dead."""
        self._rooms.pop(handle, None)
        self._given_up.pop(handle, None)
        self._alone.discard(handle)
        self._retired.discard(handle)
        self._end(handle)

    def close(self) -> None:
        """Ends all processes, at once. May be called twice."""
        for handle in list(self._rooms):
            self.lost(handle)
        for thread in self._closing:
            thread.join(_CLOSED_WITHIN_S)

    def _may_take(self, handle: IngestHandle, rooms: set[str], room_id: str) -> bool:
        if handle in self._alone or handle in self._retired:
            return False
        return room_id not in rooms and len(rooms) < self._config.max_rooms and handle.has_place

    def _start(self, config: IngestConfig) -> IngestHandle:
        handle = IngestHandle(config, self._mailbox, self._listener)
        self._rooms[handle] = set()
        _log.info("ingest process %d starts", handle.pid)
        return handle

    def _end_if_empty(self, handle: IngestHandle) -> None:
        if not self._rooms[handle] and (handle in self._alone or handle in self._retired):
            self.lost(handle)

    def _end(self, handle: IngestHandle) -> None:
        """A process takes a second to end, in which others must not be kept waiting."""
        self._closing = [thread for thread in self._closing if thread.is_alive()]
        thread = Thread(target=handle.close, name=f"ingest-closing-{handle.pid}", daemon=True)
        thread.start()
        self._closing.append(thread)
