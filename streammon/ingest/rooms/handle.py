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
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from threading import Thread
from typing import Protocol

from streammon.entities import Room
from streammon.ingest.config import IngestConfig
from streammon.ingest.moves import FINAL
from streammon.ingest.rooms.arena import Arena, create_arena_fd
from streammon.ingest.rooms.mailbox import Letter, Mailbox
from streammon.ingest.rooms.slots import SlotBook
from streammon.ingest.rooms.wire import (
    AddRoom,
    Channel,
    Configure,
    FrameReady,
    FreeSlot,
    FromIngest,
    FromRoom,
    IngestStats,
    RemoveRoom,
    RoomChanged,
    RoomPicture,
    RoomStats,
    RoomThread,
    SetInterval,
    Stop,
)
from streammon.ingest.rooms.witness import Witness

_log = logging.getLogger(__name__)

# Every room reports once a second, so a process that says nothing for this long is hung as a whole.
_SILENT_S = 20.0
# A message is read and written whole in far less; only a stopped or hostile process leaves one half done.
_MESSAGE_WITHIN_S = 2
_POLL_S = 0.5
_EXIT_WITHIN_S = 3.0
# One whose channel is closed is dying already, if it is not hung or hostile.
_DIES_WITHIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLoss:
    """Why a process is gone: `cause` for people, and the room in whose thread it crashed, None where nobody knows."""

    cause: str
    room_id: str | None


class IngestListener(Protocol):
    """Who hears of an ingest process's rooms. Called on the reader thread."""

    def room_changed(self, handle: IngestHandle, change: RoomChanged) -> None:
        """A room's connection moved to another state."""

    def room_picture(self, handle: IngestHandle, picture: RoomPicture) -> None:
        """What a room's picture amounts to, or its size, changed."""

    def room_stats(self, stats: RoomStats) -> None:
        """What a room has done in the last second."""

    def ingest_stats(self, handle: IngestHandle, stats: IngestStats) -> None:
        """How the process is, once a second."""

    def ingest_gone(self, handle: IngestHandle, loss: IngestLoss) -> None:
        """The process is dead without having been asked to stop; its rooms are not watched any more."""


class IngestHandle:
    """One ingest process. Raises OSError where it cannot be started."""

    def __init__(self, config: IngestConfig, mailbox: Mailbox, listener: IngestListener) -> None:
        self._config = config
        self._mailbox = mailbox
        self._listener = listener
        self._stopping = False
        self._heard_s = time.monotonic()
        self._leaving: set[str] = set()
        self.threads: dict[str, RoomThread] = {}
        slots = config.max_rooms * config.slots_per_room
        self._slots = SlotBook(slots)
        ours, theirs = socket.socketpair()
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, struct.pack("@ll", _MESSAGE_WITHIN_S, 0))
        arena_fd = create_arena_fd(slots * config.slot_bytes)
        self._witness = Witness()
        try:
            self._arena = Arena(arena_fd, slots=slots, slot_bytes=config.slot_bytes)
            self._process = _start_process(theirs.fileno(), arena_fd, self._witness.fd)
        except BaseException:
            ours.close()
            self._witness.close()
            raise
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

    @property
    def has_place(self) -> bool:
        """Whether there are slots for another room: those of one that has left may still be read."""
        return self._slots.free() >= self._config.slots_per_room

    def add_room(self, room: Room, session_base: int) -> None:
        """Starts to watch a room; its next connection is session `session_base` + 1. Raises ValueError where full."""
        self._leaving.discard(room.room_id)
        slots = self._slots.give(room.room_id, self._config.slots_per_room)
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
        """Asks the process to stop watching a room. No frame of it comes from now on; `stopped` comes when it has."""
        self._leaving.add(room_id)
        self._channel.send(RemoveRoom(room_id))

    def ignore_room(self, room_id: str) -> None:
        """Takes no more frames of a room, whose thread may hang: the process itself will be ended soon."""
        self._leaving.add(room_id)

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
        self._witness.close()

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
        elif time.monotonic() - self._heard_s > _SILENT_S:
            raise EOFError(f"no word for {_SILENT_S:g} s")

    def _bury(self, error: Exception) -> None:
        if self._stopping:
            return
        cause = self._end_process()
        self._channel.close()
        thread = self.threads.get(self._witness.crashed_thread() or "")
        room_id = None if thread is None else thread.room_id
        _log.error(
            "ingest process %d is gone: %s (%s)\n%s",
            self.pid,
            cause,
            error,
            self._witness.stack(),
            extra={"room_id": room_id},
        )
        self._witness.close()
        self._listener.ingest_gone(self, IngestLoss(cause=cause, room_id=room_id))

    def _end_process(self) -> str:
        """Sees to it that the process is dead. Returns how it ended."""
        try:
            code = self._process.wait(_DIES_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            try:
                code = self._process.wait(_EXIT_WITHIN_S)
            except subprocess.TimeoutExpired:
                return "it does not even die"
        names = {-number: number.name for number in signal.Signals}
        return names.get(code, f"exit status {code}")

    def _hear(self, message: FromIngest) -> None:
        if isinstance(message, IngestStats):
            self._listener.ingest_stats(self, message)
        elif self._slots.knows(message.room_id):
            self._hear_of_room(message)
        else:
            raise EOFError("it spoke of a room that is not its own")

    def _hear_of_room(self, message: FromRoom) -> None:
        match message:
            case FrameReady():
                self._take_in(message)
            case RoomChanged():
                if message.state in FINAL:
                    self._forget(message.room_id)
                self._listener.room_changed(self, message)
            case RoomPicture():
                self._listener.room_picture(self, message)
            case RoomThread():
                self.threads[message.mark] = message
            case RoomStats():
                self._listener.room_stats(message)

    def _forget(self, room_id: str) -> None:
        self._slots.take_back(room_id)
        self._leaving.discard(room_id)
        self.threads = {mark: thread for mark, thread in self.threads.items() if thread.room_id != room_id}

    def _take_in(self, ready: FrameReady) -> None:
        fits = self._arena.fits(ready.slot, ready.image_height, ready.image_width)
        if not fits or not self._slots.lend(ready.room_id, ready.slot):
            raise EOFError("it sent a frame in a slot that is not its own")
        release = partial(self._release, ready.room_id, ready.slot)
        if ready.room_id in self._leaving:
            release()
        else:
            self._mailbox.put(Letter(ready=ready, arena=self._arena, release=release))

    def _release(self, room_id: str, slot: int) -> None:
        self._slots.settle(slot)
        self._channel.send(FreeSlot(room_id, slot))


def _start_process(channel_fd: int, arena_fd: int, witness_fd: int) -> subprocess.Popen[bytes]:
    fds = (channel_fd, arena_fd, witness_fd)
    return subprocess.Popen(
        [sys.executable, "-m", "streammon.ingest.rooms.process", *map(str, fds)], pass_fds=fds, stdin=subprocess.DEVNULL
    )
