"""Has a contender watch rooms for some time, and says how it went."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tests.benchmarks.engine.point import Point
from tests.benchmarks.engine.traffic import Traffic
from tests.benchmarks.engine.tree import busy_s, usage

_START_S = 90.0
"""Until every room has had its first result; one that has none by then is measured as it is."""
_SETTLE_S = 6.0
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of some time: ages of what was judged, and by room the share of its frames that was."""

    age_p50_s: float
    age_p95_s: float
    shares: Mapping[int, float]
    notes: Mapping[str, float]


class Watching(Protocol):
    """A contender at work."""

    @property
    def pids(self) -> Sequence[int]:
        """Its processes; what these have started is counted, too."""

    def seen(self) -> int:
        """The rooms that have had a result. Raises SystemExit where the contender has died."""

    def begin(self) -> None:
        """Time to be measured begins."""

    def outcome(self, seconds: float) -> Outcome:
        """Of the time since `begin`, which was so long."""


class Contender(Protocol):
    """Somebody who can watch rooms."""

    @property
    def name(self) -> str: ...

    def watch(self, urls: Sequence[str]) -> AbstractContextManager[Watching]:
        """Room n at address n. Nothing of it is left when the block is."""


def measure(contender: Contender, traffic: Traffic, rooms: int, seconds: float) -> Point:
    """Some seconds of so many rooms, after a start that is not counted."""
    with contender.watch([traffic.url(room) for room in range(rooms)]) as watching:
        _await(watching, rooms)
        used, served_s, machine_s, began_s = usage(watching.pids), traffic.cpu_s(), busy_s(), time.monotonic()
        watching.begin()
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        outcome, after = watching.outcome(took_s), usage(watching.pids)
        served_s, machine_s = traffic.cpu_s() - served_s, busy_s() - machine_s
    own_s = after.cpu_s - used.cpu_s
    shares = [outcome.shares.get(room, 0.0) for room in range(rooms)]
    return Point(
        who=contender.name,
        mix=traffic.mix,
        rooms=rooms,
        age_p50_s=outcome.age_p50_s,
        age_p95_s=outcome.age_p95_s,
        min_share=min(shares),
        max_share=max(shares),
        cores=own_s / took_s,
        server_cores=served_s / took_s,
        other_cores=max(0.0, machine_s - own_s - served_s) / took_s,
        rss_gb=after.rss_bytes / 1e9,
        pss_gb=after.pss_bytes / 1e9,
        notes=outcome.notes,
    )


def _await(watching: Watching, rooms: int) -> None:
    until_s = time.monotonic() + _START_S
    while watching.seen() < rooms and time.monotonic() < until_s:
        time.sleep(_LOOK_S)
    time.sleep(_SETTLE_S)
