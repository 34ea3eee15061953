"""The ingest process: pulls and decodes rooms, a thread each, and nothing else.

It is started by `handle` with two inherited file descriptors and told everything else over the control channel. It
holds no broker or storage credentials. The main thread reads the channel; when the other end is gone, the process is.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from multiprocessing.connection import Connection

import av
import av.logging

from streammon.ingest.arena import Arena
from streammon.ingest.config import IngestConfig
from streammon.ingest.room import RoomWorker
from streammon.ingest.wire import AddRoom, Channel, Configure, FreeSlot, RemoveRoom, SetInterval, Stop, ToIngest

_STATS_EVERY_S = 1.0
_STOP_WITHIN_S = 1.0


class IngestProcess:
    """The rooms of this process."""

    def __init__(self, channel: Channel[ToIngest], arena: Arena, config: IngestConfig) -> None:
        self._channel = channel
        self._arena = arena
        self._config = config
        self._rooms: dict[str, RoomWorker] = {}

    def run(self) -> None:
        """Obeys the channel until it says stop or closes."""
        stats_due_s = time.monotonic() + _STATS_EVERY_S
        while True:
            try:
                message = self._channel.receive(max(0.0, stats_due_s - time.monotonic()))
            except EOFError:
                break
            if isinstance(message, Stop):
                break
            if message is not None:
                self._obey(message)
            if time.monotonic() >= stats_due_s:
                self._report()
                stats_due_s = time.monotonic() + _STATS_EVERY_S
        self._close()

    def _obey(self, message: ToIngest) -> None:
        if isinstance(message, AddRoom):
            self._rooms[message.room_id] = RoomWorker(message, self._config, self._arena, self._channel)
            self._rooms[message.room_id].start()
        elif isinstance(message, (RemoveRoom, SetInterval, FreeSlot)) and message.room_id in self._rooms:
            self._tell(self._rooms[message.room_id], message)

    def _tell(self, worker: RoomWorker, message: RemoveRoom | SetInterval | FreeSlot) -> None:
        match message:
            case RemoveRoom():
                del self._rooms[worker.room_id]
                worker.stop()
            case SetInterval():
                worker.set_interval(message.interval_s)
            case FreeSlot():
                worker.free_slot(message.slot)

    def _report(self) -> None:
        for worker in self._rooms.values():
            self._channel.send(worker.take_stats())

    def _close(self) -> None:
        for worker in self._rooms.values():
            worker.stop()
        until_s = time.monotonic() + _STOP_WITHIN_S
        for worker in self._rooms.values():
            worker.join(max(0.0, until_s - time.monotonic()))
        self._report()


def main(channel_fd: int, arena_fd: int) -> None:
    """The process's whole life. Leaves by `os._exit`, since a thread may be held inside FFmpeg."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    av.logging.set_level(None)
    channel: Channel[ToIngest] = Channel(Connection(channel_fd), ToIngest)
    configure = channel.receive(10.0)
    if not isinstance(configure, Configure):
        raise SystemExit("an ingest process is started by streammon itself, not by hand")
    config = IngestConfig.model_validate_json(configure.config)
    logging.basicConfig(level=configure.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    arena = Arena(arena_fd, slots=configure.arena_slots, slot_bytes=config.slot_bytes)
    IngestProcess(channel, arena, config).run()
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
