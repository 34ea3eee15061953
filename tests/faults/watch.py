"""The ingest under test, as the engine holds it, and all that is heard and seen of its rooms.

The supervisor's thread tells states; a thread of ours takes the samples out of the mailbox as fast as they come.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network

from prometheus_client import CollectorRegistry

from streammon.entities import Room
from streammon.errors import IngestCrashed
from streammon.fleet.ingest import IngestSupervisor
from streammon.ingest.config import IngestConfig
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import RoomChanged, RoomNews
from streammon.metrics import Metrics

CONFIG = IngestConfig(
    open_timeout=2.0,
    stall_after=2.0,
    backoff_first=0.2,
    backoff_cap=0.5,
    longest_side_px=320,
    max_rooms=16,
    allow_networks=(ip_network("127.0.0.1/32"),),  # the rest of 127.0.0.0/8 is where no room may lead
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A room's move, and when it was told, on the monotonic clock."""

    at_s: float
    change: RoomChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A sample: when the engine would have had it (monotonic clock), and what it says of itself."""

    at_s: float
    session: int
    pts_s: float
    width: int
    height: int


class Watch:
    """One ingest process for all rooms of a run. Any thread."""

    def __init__(self) -> None:
        self.fatal: list[IngestCrashed] = []
        self._changed = threading.Condition()
        self._heard: defaultdict[str, list[Heard]] = defaultdict(list)
        self._seen: defaultdict[str, list[Sighting]] = defaultdict(list)
        self._stop = threading.Event()
        self._mailbox = Mailbox(lambda room_id: None)  # noqa: ARG005 - that is what the mailbox calls it with
        metrics = Metrics(CollectorRegistry())
        self._ingest = IngestSupervisor(CONFIG, self._mailbox, metrics, self._hear, self.fatal.append)
        self._metrics = metrics
        self._ingest.start()
        self._drain = threading.Thread(target=self._take_samples, name="faults-drain")
        self._drain.start()

    def add(self, room: Room) -> None:
        """Begins to watch a room."""
        self._ingest.add(room)

    def remove(self, room_id: str) -> None:
        """Asks for a room not to be watched any more."""
        self._ingest.remove(room_id)

    def heard(self, room_id: str) -> list[Heard]:
        """A room's moves so far."""
        with self._changed:
            return list(self._heard[room_id])

    def seen(self, room_id: str) -> list[Sighting]:
        """A room's samples so far."""
        with self._changed:
            return list(self._seen[room_id])

    def wait_for(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Whether something that is heard or seen makes the condition true in time."""
        with self._changed:
            return self._changed.wait_for(condition, within_s)

    def close(self) -> None:
        """Ends the process and the thread."""
        self._ingest.close()
        self._stop.set()
        self._drain.join(5.0)

    def lost(self) -> int:
        """How many ingest processes have died."""
        return round(self._metrics.registry.get_sample_value("streammon_ingest_restarts_total") or 0.0)

    def _hear(self, news: RoomNews) -> None:
        if isinstance(news, RoomChanged):
            with self._changed:
                self._heard[news.room_id].append(Heard(at_s=time.monotonic(), change=news))
                self._changed.notify_all()

    def _take_samples(self) -> None:
        while not self._stop.is_set():
            frame = self._mailbox.take(0.2)
            if frame is None:
                continue
            sighting = Sighting(
                at_s=time.monotonic(),
                session=frame.moment.session,
                pts_s=frame.moment.pts_s,
                width=frame.width,
                height=frame.height,
            )
            with self._changed:
                self._seen[frame.room_id].append(sighting)
                self._changed.notify_all()
