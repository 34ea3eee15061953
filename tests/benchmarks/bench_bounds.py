"""What reconnecting costs in the long run: memory, descriptors and threads of an ingest process over 1,000 reconnects.

Rooms whose sources fail and rooms whose sources come and go are tried again as fast as they can be. Then 100 rooms
whose opening never comes back. Prints a table, and as its last line one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from sample_streams.child import free_port
from streammon.entities import Room, RoomState
from streammon.errors import IngestCrashed
from streammon.fleet.ingest import IngestSupervisor
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import RoomChanged, RoomNews
from streammon.metrics import Metrics
from tests.integration.ingesting import CONFIG
from tests.integration.scripted_http import Page, Reply, ScriptedServer
from tests.media import clip

_RECONNECTS = 1_000
_WARM_UP = 150
_STUCK = 100
_WITHIN_S = 240.0
_STUCK_FOR_S = 45.0
# The resolver's threads end when nobody asks them for a while.
_QUIET_S = 15.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# As fast as can be: the waits are what a long run would be made of.
_FAST = CONFIG.model_copy(update={"backoff_first": 0.001, "backoff_cap": 0.002, "max_rooms": 150, "open_timeout": 2.0})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds."""

    rss_mb: float
    fds: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> Held:
        """By the process with that id, now."""
        process = Path(f"/proc/{pid}")
        pages = int((process / "statm").read_text().split()[1])
        return cls(
            rss_mb=pages * _PAGE_BYTES / 1e6,
            fds=len(list((process / "fd").iterdir())),
            threads=len(list((process / "task").iterdir())),
        )


class Watch:
    """A supervisor, and how often its rooms have tried again."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self._mailbox = Mailbox(lambda room_id: None)  # noqa: ARG005 - that is what the mailbox calls it with
        self._stopped = 0
        self._tries: dict[str, int] = {}
        self.supervisor = IngestSupervisor(_FAST, self._mailbox, self.metrics, self._hear, _give_up)
        self.supervisor.start()

    def pid(self) -> int:
        """The one ingest process."""
        (pid,) = self.supervisor.pids
        return pid

    def until_tried(self, times: int) -> None:
        """Waits until every room has tried so often; takes the frames meanwhile."""
        until_s = time.monotonic() + _WITHIN_S
        while min(self._tries.values(), default=0) < times:
            if time.monotonic() > until_s:
                sys.exit(f"only tried {self._tries} in {_WITHIN_S:g} s")
            self._mailbox.take(0.05)

    def add(self, rooms: Mapping[str, str]) -> None:
        """Watches these rooms, by id and URL."""
        self._tries = dict.fromkeys(rooms, 0)
        for room_id, url in rooms.items():
            self.supervisor.add(Room(room_id=room_id, url=url, interval_s=0.5))

    def held_after(self, reconnects: int, rooms: Mapping[str, str]) -> Held:
        """What the ingest process holds when each room has been tried so often, and none is watched any more."""
        self.add(rooms)
        self.until_tried(reconnects)
        pid = self.pid()
        for room_id in rooms:
            self.supervisor.remove(room_id)
        until_s = time.monotonic() + _WITHIN_S
        while self._stopped < len(rooms):
            if time.monotonic() > until_s:
                sys.exit("not all rooms stopped")
            self._mailbox.take(0.05)
        self._stopped = 0
        time.sleep(_QUIET_S)
        return Held.by(pid)

    def _hear(self, news: RoomNews) -> None:
        if isinstance(news, RoomChanged):
            self._tries[news.room_id] += news.state is RoomState.BACKING_OFF
            self._stopped += news.state is RoomState.STOPPED


def _give_up(error: IngestCrashed) -> None:
    sys.exit(str(error))


@contextmanager
def _watching() -> Iterator[Watch]:
    watch = Watch()
    try:
        yield watch
    finally:
        watch.supervisor.close()


def _reconnects() -> dict[str, float]:
    pages: dict[str, Page] = {
        "/missing": Reply(status=404),
        "/error": Reply(status=500),
        "/page": Reply(body=b"<!doctype html><title>no stream</title>" * 50),
        "/flapping.ts": Reply(body=clip(1.0)),
        "/flapping.flv": Reply(body=clip(1.0, container="flv")),
        "/denied.m3u8": Reply(body=b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ndenied.ts\n"),
        "/denied.ts": Reply(status=403),
    }
    with ExitStack() as stack:
        server = stack.enter_context(ScriptedServer())
        server.pages.update(pages)
        watch = stack.enter_context(_watching())
        rooms = {page.strip("/"): server.url(page) for page in pages}
        rooms["refused"] = f"rtmp://127.0.0.1:{free_port()}/live/x"
        rooms["unknown"] = "http://nobody.invalid/live.flv"
        before = watch.held_after(_WARM_UP, rooms)
        after = watch.held_after(_RECONNECTS, rooms)
    print(f"{len(rooms)} rooms, {_RECONNECTS} reconnects each, after {_WARM_UP} to warm up")
    print(f"  before: {before.rss_mb:.1f} MB, {before.fds} descriptors, {before.threads} threads")
    print(f"  after:  {after.rss_mb:.1f} MB, {after.fds} descriptors, {after.threads} threads")
    return {
        "rooms": len(rooms),
        "reconnects_per_room": _RECONNECTS,
        "rss_growth_mb": round(after.rss_mb - before.rss_mb, 1),
        "fds_growth": after.fds - before.fds,
        "threads_growth": after.threads - before.threads,
    }


def _stuck_opens() -> dict[str, float]:
    """Files that nobody writes to: opening one never comes back from the kernel."""
    pipes: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, _watching() as watch:
        for number in range(_STUCK):
            pipe = Path(folder) / f"{number}.flv"
            os.mkfifo(pipe)
            pipes[pipe.stem] = str(pipe)
        watch.add(pipes)
        until_s = time.monotonic() + _STUCK_FOR_S
        most = 0.0
        while time.monotonic() < until_s:
            most = max(most, watch.metrics.registry.get_sample_value("streammon_ingest_given_up_threads") or 0.0)
            time.sleep(0.1)
        recycled = watch.metrics.registry.get_sample_value("streammon_ingest_recycled_total") or 0.0
    print(f"{_STUCK} rooms that hang in opening, {_STUCK_FOR_S:g} s: at most {most:g} threads given up,")
    print(f"  {recycled:g} processes replaced")
    return {"stuck_opens": _STUCK, "given_up_threads": most, "max_hung": _FAST.max_hung, "recycled": recycled}


def main() -> None:
    """Prints both."""
    figures = _reconnects() | _stuck_opens()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
