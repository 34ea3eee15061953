"""What the tests of the ingest process share: an ear for what it says, and a look at what this process holds open."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

from streammon.entities import Frame, Room, RoomState
from streammon.ingest.config import IngestConfig
from streammon.ingest.handle import IngestHandle
from streammon.ingest.mailbox import Mailbox
from streammon.ingest.wire import RoomChanged, RoomStats

LOOPBACK = (ip_network("127.0.0.0/8"),)
CONFIG = IngestConfig(
    open_timeout=5.0, stall_after=5.0, backoff_first=0.2, backoff_cap=0.5, max_rooms=8, allow_networks=LOOPBACK
)
CLIP = Path(__file__).parents[2] / "sample_streams" / "room.mp4"


class Ear:
    """Hears all that an ingest process says, and lets a test wait for it."""

    def __init__(self) -> None:
        self.changes: list[RoomChanged] = []
        self.stats: list[RoomStats] = []
        self.gone: list[IngestHandle] = []
        self._heard = threading.Condition()

    def room_changed(self, change: RoomChanged) -> None:
        """See IngestListener."""
        self._note(lambda: self.changes.append(change))

    def room_stats(self, stats: RoomStats) -> None:
        """See IngestListener."""
        self._note(lambda: self.stats.append(stats))

    def ingest_gone(self, handle: IngestHandle) -> None:
        """See IngestListener."""
        self._note(lambda: self.gone.append(handle))

    def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Waits for what is heard to make a condition true; fails where it does not."""
        with self._heard:
            assert self._heard.wait_for(condition, within_s), f"only heard {self.changes}"

    def states(self) -> list[RoomState]:
        """Of all rooms, in order."""
        return [change.state for change in self.changes]

    def _note(self, write: Callable[[], None]) -> None:
        with self._heard:
            write()
            self._heard.notify_all()


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
