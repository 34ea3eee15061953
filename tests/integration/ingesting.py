"""What the tests of the ingest process share: an ear for what it says, and a look at what this process holds open."""

from __future__ import annotations

import ctypes
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Self

from prometheus_client import CollectorRegistry

from streammon.entities import Frame, Room, RoomState
from streammon.errors import IngestCrashed
from streammon.fleet.ingest import IngestSupervisor
from streammon.ingest.config import IngestConfig
from streammon.ingest.rooms.handle import IngestHandle, IngestLoss
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import IngestStats, RoomChanged, RoomNews, RoomPicture, RoomStats
from streammon.metrics import Metrics

LOOPBACK = (ip_network("127.0.0.0/8"),)
CONFIG = IngestConfig(
    open_timeout=5.0, stall_after=5.0, backoff_first=0.2, backoff_cap=0.5, max_rooms=8, allow_networks=LOOPBACK
)
CLIP = Path(__file__).parents[2] / "sample_streams" / "room.mp4"


class Ear:
    """Hears all that ingest processes say, and lets a test wait for it."""

    def __init__(self) -> None:
        self.changes: list[RoomChanged] = []
        self.pictures: list[RoomPicture] = []
        self.stats: list[RoomStats] = []
        self.processes: list[IngestStats] = []
        self.gone: list[tuple[IngestHandle, IngestLoss]] = []
        self._heard = threading.Condition()

    def room_changed(self, handle: IngestHandle, change: RoomChanged) -> None:  # noqa: ARG002
        """See IngestListener."""
        self._note(lambda: self.changes.append(change))

    def room_picture(self, handle: IngestHandle, picture: RoomPicture) -> None:  # noqa: ARG002
        """See IngestListener."""
        self._note(lambda: self.pictures.append(picture))

    def room_stats(self, stats: RoomStats) -> None:
        """See IngestListener."""
        self._note(lambda: self.stats.append(stats))

    def ingest_stats(self, handle: IngestHandle, stats: IngestStats) -> None:  # noqa: ARG002
        """See IngestListener."""
        self._note(lambda: self.processes.append(stats))

    def ingest_gone(self, handle: IngestHandle, loss: IngestLoss) -> None:
        """See IngestListener."""
        self._note(lambda: self.gone.append((handle, loss)))

    def news(self, news: RoomNews) -> None:
        """What a supervisor tells of a room."""
        if isinstance(news, RoomChanged):
            self._note(lambda: self.changes.append(news))
        elif isinstance(news, RoomPicture):
            self._note(lambda: self.pictures.append(news))

    def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Waits for what is heard to make a condition true; fails where it does not."""
        with self._heard:
            assert self._heard.wait_for(condition, within_s), f"only heard {self.changes}"

    def until_state(self, state: RoomState, room_id: str = "r1", times: int = 1, within_s: float = 10.0) -> None:
        """Waits until a room has come to a state so many times."""
        self.until(lambda: self.states(room_id).count(state) >= times, within_s)

    def of(self, room_id: str) -> list[RoomChanged]:
        """One room's changes, in order."""
        return [change for change in self.changes if change.room_id == room_id]

    def states(self, room_id: str | None = None) -> list[RoomState]:
        """Of a room, or of all rooms, in order."""
        return [change.state for change in self.changes if room_id in {None, change.room_id}]

    def _note(self, write: Callable[[], None]) -> None:
        with self._heard:
            write()
            self._heard.notify_all()


@contextmanager
def process(ear: Ear, mailbox: Mailbox, config: IngestConfig = CONFIG) -> Iterator[IngestHandle]:
    """An ingest process, which is dead at the end."""
    handle = IngestHandle(config, mailbox, ear)
    try:
        yield handle
    finally:
        handle.close()
        assert not alive(handle.pid)


def new_mailbox() -> Mailbox:
    return Mailbox(lambda room_id: None)  # noqa: ARG005 - that is what the mailbox calls it with


def room(url: str | Path, interval_s: float = 0.5, room_id: str = "r1") -> Room:
    return Room(room_id=room_id, url=str(url), interval_s=interval_s)


def take(mailbox: Mailbox, count: int, within_s: float = 10.0) -> list[Frame]:
    """The next frames; fails where not so many come in time."""
    give_up_s = time.monotonic() + within_s
    frames: list[Frame] = []
    while len(frames) < count and time.monotonic() < give_up_s:
        frame = mailbox.take(0.1)
        frames += [] if frame is None else [frame]
    assert len(frames) == count
    return frames


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_dead(pid: int, within_s: float) -> None:
    give_up_s = time.monotonic() + within_s
    while alive(pid):
        assert time.monotonic() < give_up_s, "it is still there"
        time.sleep(0.02)


def held() -> tuple[int, int, list[str], list[str]]:
    """Descriptors, mapped arenas, threads and child processes of this process."""
    gc.collect()  # what earlier tests dropped goes now, not somewhere between two counts
    tasks = Path("/proc/self/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text(encoding="utf-8").split()]
    arenas = Path("/proc/self/maps").read_text(encoding="utf-8").count("streammon-frames")
    threads = sorted(thread.name for thread in threading.enumerate())
    return len(list(Path("/proc/self/fd").iterdir())), arenas, threads, children


class Fleet:
    """A supervisor, and what it reports to. A context manager: at its end no process or thread of it is left."""

    def __init__(self, config: IngestConfig = CONFIG) -> None:
        self.ear = Ear()
        self.fatal: list[IngestCrashed] = []
        self.mailbox = new_mailbox()
        self.metrics = Metrics(CollectorRegistry())
        self.supervisor = IngestSupervisor(config, self.mailbox, self.metrics, self.ear.news, self.fatal.append)

    def start(self, *rooms: Room) -> None:
        """Has these rooms pulled."""
        self.supervisor.start()
        for added in rooms:
            self.supervisor.add(added)

    def only_pid(self) -> int:
        """The process, once there is one and no other."""
        until(lambda: len(self.supervisor.pids) == 1)
        return self.supervisor.pids[0]

    def pid_after(self, *old: int, within_s: float = 10.0) -> int:
        """A process that is none of these."""
        until(lambda: bool(set(self.supervisor.pids) - set(old)), within_s)
        return next(pid for pid in self.supervisor.pids if pid not in old)

    def pid_of(self, room_id: str) -> int | None:
        """The process that pulls a room; None where none does."""
        place = self.supervisor._places.rooms.get(room_id)
        return None if place is None or place.handle is None else place.handle.pid

    def crash(self, room_id: str) -> int:
        """SIGSEGV in the thread that pulls a room, as FFmpeg would. Returns the process."""
        handle = self.supervisor._places.rooms[room_id].handle
        assert handle is not None
        return self.crash_in(handle, room_id)

    def crash_in(self, handle: IngestHandle, room_id: str) -> int:
        """The same in a process that need not be the one that counts."""
        tid = [thread.tid for thread in handle.threads.values() if thread.room_id == room_id][-1]
        ctypes.CDLL(None).tgkill(handle.pid, tid, signal.SIGSEGV)
        return handle.pid

    def counted(self, name: str, **labels: str) -> float | None:
        """A metric's value, None where it has not been touched."""
        return self.metrics.registry.get_sample_value(name, labels)

    def until_counted(self, count: float, name: str, within_s: float = 10.0, **labels: str) -> None:
        """Waits until a metric has come to `count`."""
        until(lambda: (self.counted(name, **labels) or 0.0) >= count, within_s)

    def __enter__(self) -> Self:
        self._before = held()
        return self

    def __exit__(self, *_: object) -> None:
        pids = self.supervisor.pids
        self.supervisor.close()
        self.supervisor.close()
        assert self.supervisor.pids == ()
        assert not self.supervisor.alive
        assert not [pid for pid in pids if alive(pid)]
        del self.supervisor
        assert held()[2:] == self._before[2:]


def threads_of(pid: int) -> int:
    """How many threads a process has; 0 where it is dead."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except FileNotFoundError:
        return 0


def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Waits for a condition that nobody tells of; fails where it does not come."""
    give_up_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_s, "it did not come"
        time.sleep(0.02)
