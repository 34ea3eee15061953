"""The ingest process: pulls and decodes rooms, a thread each, and nothing else.

It is started by `handle` with inherited file descriptors and told everything else over the control channel. It
holds no broker or storage credentials. The main thread reads the channel; when the other end is gone, the process is.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import av
import av.logging

from streammon.ingest.config import IngestConfig
from streammon.ingest.media.bounds import Bounds
from streammon.ingest.media.ffmpeg_memory import bound_allocations
from streammon.ingest.rooms.arena import Arena
from streammon.ingest.rooms.puller import Puller
from streammon.ingest.rooms.room import RoomWorker
from streammon.ingest.rooms.wire import (
    AddRoom,
    Channel,
    Configure,
    FreeSlot,
    IngestStats,
    RemoveRoom,
    SetInterval,
    Stop,
    ToIngest,
)
from streammon.logs import log_to_stderr

_WATCH_EVERY_S = 0.1
_STATS_EVERY_S = 1.0
_STOP_WITHIN_S = 1.0
_STACK_BYTES = 2 << 20


class IngestProcess:
    """The rooms of this process, and the threads that it has given up."""

    def __init__(self, channel: Channel[ToIngest], arena: Arena, config: IngestConfig) -> None:
        self._channel = channel
        self._arena = arena
        self._config = config
        self._rooms: dict[str, RoomWorker] = {}
        self._given_up: list[GivenUp] = []

    def run(self) -> None:
        """Obeys the channel until it says stop or closes."""
        watch_due_s = stats_due_s = time.monotonic()
        while True:
            try:
                message = self._channel.receive(max(0.0, watch_due_s - time.monotonic()))
            except EOFError:
                break
            if isinstance(message, Stop):
                break
            if message is not None:
                self._obey(message)
            now_s = time.monotonic()
            if now_s >= watch_due_s:
                watch_due_s = now_s + _WATCH_EVERY_S
                self._watch(now_s)
            if now_s >= stats_due_s:
                stats_due_s = now_s + _STATS_EVERY_S
                self._report(now_s)
        self._close()

    def _obey(self, message: ToIngest) -> None:
        if isinstance(message, AddRoom):
            self._rooms[message.room_id] = RoomWorker(message, self._config, self._arena, self._channel)
            self._rooms[message.room_id].start()
        elif isinstance(message, (RemoveRoom, SetInterval, FreeSlot)) and message.room_id in self._rooms:
            _tell(self._rooms[message.room_id], message)

    def _watch(self, now_s: float) -> None:
        may_come_back_s = now_s + self._config.open_timeout + self._config.stall_after
        for worker in list(self._rooms.values()):
            if worker.over:
                del self._rooms[worker.room_id]
                continue
            hung = self._hung(now_s) < self._config.max_hung
            puller = worker.watch(now_s, may_give_up=hung)
            if puller is not None:
                overdue_s = may_come_back_s if worker.stopping else now_s
                self._given_up.append(GivenUp(puller=puller, overdue_s=overdue_s))

    def _hung(self, now_s: float) -> int:
        """Threads that do not come back. One that was given up because its room was stopped has its time-outs first."""
        self._given_up = [given_up for given_up in self._given_up if given_up.puller.alive]
        return sum(given_up.overdue_s <= now_s for given_up in self._given_up)

    def _report(self, now_s: float) -> None:
        for worker in self._rooms.values():
            worker.report()
        self._channel.send(IngestStats(hung=self._hung(now_s), given_up=len(self._given_up)))

    def _close(self) -> None:
        for worker in self._rooms.values():
            worker.stop()
        until_s = time.monotonic() + _STOP_WITHIN_S
        for worker in self._rooms.values():
            worker.join(max(0.0, until_s - time.monotonic()))


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A thread that was left to itself. Until `overdue_s` it may still come back by its own time-outs."""

    puller: Puller
    overdue_s: float


def _tell(worker: RoomWorker, message: RemoveRoom | SetInterval | FreeSlot) -> None:
    match message:
        case RemoveRoom():
            worker.stop()
        case SetInterval():
            worker.set_interval(message.interval_s)
        case FreeSlot():
            worker.slots.put(message.slot)


def _limit_resources(config: IngestConfig) -> None:
    """What this process reads is hostile: it may not take the machine's memory, nor leave pictures in a core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = config.memory_bytes if hard == resource.RLIM_INFINITY else min(config.memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    # A thread for each room: what FFmpeg needs of stack is a small part of the 8 MiB that it would get.
    threading.stack_size(_STACK_BYTES)


def main(channel_fd: int, arena_fd: int, witness_fd: int) -> None:
    """The process's whole life. Leaves by `os._exit`, since a thread may be held inside FFmpeg.

    Should it crash, `witness_fd` says in which thread.
    """
    faulthandler.enable(file=witness_fd, all_threads=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    av.logging.set_level(None)
    channel: Channel[ToIngest] = Channel(Connection(channel_fd), ToIngest)
    configure = channel.receive(10.0)
    if not isinstance(configure, Configure):
        raise SystemExit("an ingest process is started by streammon itself, not by hand")
    config = IngestConfig.model_validate_json(configure.config)
    log_to_stderr(configure.log_level)
    _limit_resources(config)
    bound_allocations(Bounds.of(config))
    arena = Arena(arena_fd, slots=configure.arena_slots, slot_bytes=config.slot_bytes)
    IngestProcess(channel, arena, config).run()
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
