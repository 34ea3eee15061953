"""How many rooms one machine sustains, and how it bears twice as many; ours, then the peers. `make bench-engine`.

Exits with 0 whatever the figures are. Last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streammon.detect.runtime.cores import usable_cores
from tests.benchmarks.engine.material import MIXES
from tests.benchmarks.engine.measuring import Contender, measure
from tests.benchmarks.engine.ours import Ours
from tests.benchmarks.engine.peers.environments import REQUIREMENTS
from tests.benchmarks.engine.point import HEADING, INTERVAL_S, Point
from tests.benchmarks.engine.search import largest
from tests.benchmarks.engine.theirs import Peer
from tests.benchmarks.engine.traffic import Traffic

_AMX_LIMIT_S = 1.0
_FIRST = {"moving": 12, "still": 24}
_PEERS_FIRST = 4
_OVERLOAD = 2


@dataclass(slots=True)
class Bench:
    """All points of one run, printed as they come."""

    seconds: float
    limit_s: float
    points: list[Point] = field(default_factory=list)

    def at(self, contender: Contender, traffic: Traffic, rooms: int) -> Point:
        """Measures one."""
        point = measure(contender, traffic, rooms, self.seconds)
        self.points.append(point)
        print(point.line(), flush=True)
        return point

    def sustained(self, who: str, mix: str) -> Point | None:
        """The most rooms that held."""
        held = [p for p in self.points if (p.who, p.mix) == (who, mix) and p.holds(self.limit_s)]
        return max(held, key=lambda point: point.rooms, default=None)

    def rooms(self, who: str, mix: str) -> int:
        """As many; 0 where not even one held, or none was tried."""
        point = self.sustained(who, mix)
        return 0 if point is None else point.rooms

    def search(self, contender: Contender, traffic: Traffic, first: int, tries: int) -> int:
        """Looks for the most rooms that hold."""
        return largest(lambda rooms: self.at(contender, traffic, rooms).holds(self.limit_s), first, tries)


def has_amx() -> bool:
    """Whether the processor multiplies matrices in tiles, which is what the absolute figures are promised for."""
    return "amx_tile" in Path("/proc/cpuinfo").read_text(encoding="ascii").split()


def summary(bench: Bench, mixes: Sequence[str]) -> dict[str, float | bool | None]:
    """The last line: the worst of both mixes where there is one figure for both; None where nothing was measured."""
    held = [point for mix in mixes if (point := bench.sustained(Ours.name, mix)) is not None]
    over = [p for p in bench.points if p.who == Ours.name and p.rooms >= _OVERLOAD * bench.rooms(p.who, p.mix) > 0]
    peers = {mix: max(bench.rooms(peer, mix) for peer in REQUIREMENTS) for mix in MIXES}
    ratios = {mix: _ratio(bench.rooms(Ours.name, mix), peers[mix]) for mix in MIXES}
    return {
        "rooms_moving": bench.rooms(Ours.name, "moving"),
        "rooms_still": bench.rooms(Ours.name, "still"),
        "age_p95_s": _rounded(max((p.age_p95_s for p in held), default=None)),
        "min_room_share": _rounded(min((p.min_share for p in held), default=None)),
        "rss_gb": _rounded(max((p.rss_gb for p in held), default=None)),
        "pss_gb": _rounded(max((p.pss_gb for p in held), default=None)),
        "peer_rooms": peers["moving"],
        "peer_rooms_still": peers["still"],
        "ratio_peer": _rounded(ratios["moving"]),
        "ratio_peer_still": _rounded(ratios["still"]),
        "overload_age_p95_s": _rounded(max((p.age_p95_s for p in over), default=None)),
        "overload_min_to_max_share": _rounded(min((p.min_share / p.max_share for p in over), default=None)),
        "other_cores": _rounded(max((p.other_cores for p in bench.points), default=None)),
        "limit_s": bench.limit_s,
        "cores": usable_cores(),
        "amx": has_amx(),
    }


def _ratio(ours: int, peers: int) -> float | None:
    return ours / peers if ours and peers else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _end(*_: object) -> None:
    """So that whoever ends the bench leaves no contender and no server behind."""
    raise SystemExit(128 + signal.SIGTERM)


def _run(bench: Bench, given: argparse.Namespace) -> None:
    for mix in given.mix:
        with Traffic(mix) as traffic:
            for who in given.who:
                contender = Ours() if who == Ours.name else Peer(who, a_process_per_room=who == "opencv_loop")
                if given.rooms:
                    for rooms in given.rooms:
                        bench.at(contender, traffic, rooms)
                    continue
                first = given.first or (_FIRST[mix] if who == Ours.name else _PEERS_FIRST)
                found = bench.search(contender, traffic, first, given.tries)
                if who == Ours.name and found:
                    bench.at(contender, traffic, _OVERLOAD * found)


def main() -> int:
    """Measures and prints."""
    names = (Ours.name, *REQUIREMENTS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mix", nargs="+", choices=list(MIXES), default=list(MIXES))
    parser.add_argument("--who", nargs="+", choices=names, default=names)
    parser.add_argument("--rooms", nargs="+", type=int, help="these points, in place of a search")
    parser.add_argument("--first", type=int, help="where the search begins")
    parser.add_argument("--tries", type=int, default=4, help="points of a search")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each point")
    limit_s = _AMX_LIMIT_S if has_amx() else INTERVAL_S
    parser.add_argument("--limit", type=float, default=limit_s, help="of the frames' age, 95th percentile, in seconds")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    bench = Bench(seconds=given.seconds, limit_s=given.limit)
    print(f"a frame per {INTERVAL_S:g} s; to hold: p95 of the age ≤ {given.limit:g} s, every room ≥ 0.8 of its frames")
    print(HEADING, flush=True)
    _run(bench, given)
    print(json.dumps(summary(bench, given.mix)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
