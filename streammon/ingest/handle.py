"""The engine's hold on one ingest process: starts it, tells it its rooms, reads what it sends, ends it.

A thread of its own reads the channel; the listener's methods are called on it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from functools import partial
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import Protocol

from streammon.entities import Room
from streammon.ingest.arena import Arena, create_arena_fd
from streammon.ingest.config import IngestConfig
from streammon.ingest.mailbox import Letter, Mailbox
from streammon.ingest.wire import (
    AddRoom,
    Channel,
    Configure,
    FrameReady,
    FreeSlot,
    FromIngest,
    RemoveRoom,
    RoomChanged,
    RoomStats,
    SetInterval,
    Stop,
)

_log = logging.getLogger(__name__)

# Every room reports once a second, so a process that says nothing for this long is hung as a whole.
_SILENT_S = 20.0
# A message is read and written whole in far less; only a stopped or hostile process leaves one half done.
_MESSAGE_WITHIN_S = 2
_POLL_S = 0.5
_EXIT_WITHIN_S = 3.0


class IngestListener(Protocol):
    """Who hears of an ingest process's rooms. Called on the reader thread."""

    def room_changed(self, change: RoomChanged) -> None:
        """A room's connection moved to another state."""

    def room_stats(self, stats: RoomStats) -> None:
        """What a room has done in the last second."""

    def ingest_gone(self, handle: IngestHandle) -> None:
        """The process is dead without having been asked to stop; its rooms are not watched any more."""


class IngestHandle:
    """One ingest process."""

    def __init__(self, config: IngestConfig, mailbox: Mailbox, listener: IngestListener) -> None:
        self._config = config
        self._mailbox = mailbox
        self._listener = listener
        self._slots: dict[str, set[int]] = {}
        self._lent: dict[str, set[int]] = {}
        self._lock = Lock()
        self._stopping = False
        self._heard_s = time.monotonic()
        slots = config.max_rooms * config.slots_per_room
        self._unused = list(range(slots))
        ours, theirs = socket.socketpair()
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, struct.pack("@ll", _MESSAGE_WITHIN_S, 0))
        arena_fd = create_arena_fd(slots * config.slot_bytes)
        try:
            self._arena = Arena(arena_fd, slots=slots, slot_bytes=config.slot_bytes)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streammon.ingest.process", str(theirs.fileno()), str(arena_fd)],
                pass_fds=(theirs.fileno(), arena_fd),
                stdin=subprocess.DEVNULL,
            )
        finally:
            theirs.close()
            os.close(arena_fd)
        self._channel: Channel[FromIngest] = Channel(Connection(ours.detach()), FromIngest)
        self._channel.send(
            Configure(
                config=config.model_dump_json().encode(),
                log_level=logging.getLevelName(_log.getEffectiveLevel()),
                arena_slots=slots,
            )
        )
        self._reader = Thread(target=self._read, name=f"ingest-reader-{self._process.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def add_room(self, room: Room, session_base: int) -> None:
        """Starts to watch a room; its next connection is session `session_base` + 1."""
        with self._lock:
            slots = [self._unused.pop() for _ in range(self._config.slots_per_room)]
            self._slots[room.room_id] = set(slots)
            self._lent[room.room_id] = set()
        self._channel.send(
            AddRoom(
                room_id=room.room_id,
                url=room.url,
                headers=dict(room.headers),
                url_command=list(room.url_command),
                interval_s=room.interval_s,
                session_base=session_base,
                slots=slots,
            )
        )

    def remove_room(self, room_id: str) -> None:
        """Asks the process to stop watching a room."""
        self._channel.send(RemoveRoom(room_id))

    def set_interval(self, room_id: str, interval_s: float) -> None:
        """Sample a room every `interval_s` seconds from now on."""
        self._channel.send(SetInterval(room_id, interval_s))

    def close(self) -> None:
        """Ends the process, by force where it does not go within 3 s. May be called twice."""
        self._stopping = True
        self._channel.send(Stop())
        try:
            self._process.wait(_EXIT_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_EXIT_WITHIN_S)
        self._reader.join(_EXIT_WITHIN_S)
        self._channel.close()

    def _read(self) -> None:
        try:
            while True:
                self._read_one()
        except EOFError as error:
            self._bury(error)
        except Exception as error:  # noqa: BLE001 - the thread's top frame
            _log.exception("what ingest process %d sent cannot be dealt with", self.pid)
            self._bury(error)

    def _read_one(self) -> None:
        message = self._channel.receive(_POLL_S)
        if message is not None:
            self._heard_s = time.monotonic()
            self._hear(message)
        elif self._lent and time.monotonic() - self._heard_s > _SILENT_S:
            raise EOFError(f"no word for {_SILENT_S:g} s")

    def _bury(self, error: Exception) -> None:
        if self._stopping:
            return
        if self._process.poll() is None:
            self._process.kill()
        code = self._process.wait(_EXIT_WITHIN_S)
        self._channel.close()
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        _log.error("ingest process %d is gone: %s (%s)", self.pid, cause, error)
        self._listener.ingest_gone(self)

    def _hear(self, message: FromIngest) -> None:
        if message.room_id not in self._slots:
            raise EOFError("it spoke of a room that is not its own")
        match message:
            case FrameReady():
                self._take_in(message)
            case RoomChanged():
                self._listener.room_changed(message)
            case RoomStats():
                self._listener.room_stats(message)

    def _take_in(self, ready: FrameReady) -> None:
        with self._lock:
            mine = ready.slot in self._slots[ready.room_id] - self._lent[ready.room_id]
            if not mine or not self._arena.fits(ready.slot, ready.image_height, ready.image_width):
                raise EOFError("it sent a frame in a slot that is not its own")
            self._lent[ready.room_id].add(ready.slot)
        release = partial(self._release, ready.room_id, ready.slot)
        self._mailbox.put(Letter(ready=ready, arena=self._arena, release=release))

    def _release(self, room_id: str, slot: int) -> None:
        with self._lock:
            self._lent[room_id].discard(slot)
        self._channel.send(FreeSlot(room_id, slot))
