"""Two rooms that nothing happens to, one over RTMP and one over HLS, watched while everything else goes wrong.

A gap is what a detector would notice: the longest time for which a room that is well gave it nothing new, in sampling
intervals. It is taken twice, and the larger counts:
- by the wall clock, between the moments at which samples could be taken out of the mailbox. HLS comes in bursts, each
  a segment after the last even when all is well, so a segment's length is taken off;
- by `pts_s`, between consecutive samples of a session, so that a sample which was lost counts though others came.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from sample_streams.live_rtmp import LiveRtmp
from sample_streams.rtmp_server import rtmp_server
from streammon.entities import Room
from tests.faults.watch import Sighting, Watch
from tests.media import clip

_INTERVAL_S = 1.0
_SEGMENT_S = 1.0  # nginx's hls_fragment
_CLIP_S = 10.0
_LONGEST_RUN_S = 1200.0
_OPENS_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The largest gap of a room, in intervals."""

    room_id: str
    intervals: float


class Healthy:
    """The two rooms. `undisturbed` reads what the watch has recorded, so any thread may ask."""

    def __init__(self, watch: Watch, urls: dict[str, str]) -> None:
        self._watch = watch
        self._rooms = tuple(urls)
        for room_id, url in urls.items():
            watch.add(Room(room_id=room_id, url=url, interval_s=_INTERVAL_S))
        for room_id in self._rooms:
            opened = partial(self._has_come, room_id)
            assert watch.wait_for(opened, _OPENS_WITHIN_S), f"{room_id} does not come: {watch.heard(room_id)}"
        self._up_s = time.monotonic()

    def largest_gap(self, since_s: float, until_s: float) -> Gap:
        """Between two moments of the monotonic clock; what began before them or lasts beyond them counts whole."""
        gaps = [
            Gap(room_id=room_id, intervals=gap_intervals(self._watch.seen(room_id), since_s, until_s, bursts))
            for room_id, bursts in zip(self._rooms, (0.0, _SEGMENT_S), strict=True)
        ]
        return max(gaps, key=lambda gap: gap.intervals)

    def moved(self) -> list[str]:
        """The moves that the rooms made though nothing happened to them."""
        return [
            f"{room_id} is {heard.change.state.value}/{heard.change.reason}"
            for room_id in self._rooms
            for heard in self._watch.heard(room_id)
            if heard.at_s > self._up_s
        ]

    def _has_come(self, room_id: str) -> bool:
        return len(self._watch.seen(room_id)) > 1


def gap_intervals(seen: Sequence[Sighting], since_s: float, until_s: float, burst_s: float) -> float:
    """The largest gap in a room's samples, as the module defines it; `burst_s` is the length of its bursts."""
    during = [(before, after) for before, after in pairwise(seen) if after.at_s >= since_s and before.at_s <= until_s]
    wall_s = [after.at_s - before.at_s - burst_s for before, after in during]
    open_s = until_s - seen[-1].at_s - burst_s
    stream_s = [after.pts_s - before.pts_s for before, after in during if before.session == after.session]
    return max(open_s, *wall_s, *stream_s, 0.0) / _INTERVAL_S


@contextmanager
def healthy_rooms(watch: Watch, folder: Path) -> Iterator[Healthy]:
    """The rooms, with a server and a publisher of their own."""
    played = folder / "healthy.flv"
    played.write_bytes(clip(_CLIP_S, container="flv"))
    with rtmp_server("nginx") as server, LiveRtmp(played, server.rtmp_url("h"), round(_LONGEST_RUN_S / _CLIP_S)):
        hls = server.hls_url("h")
        assert hls is not None
        yield Healthy(watch, {"healthy-rtmp": server.rtmp_url("h"), "healthy-hls": hls})
