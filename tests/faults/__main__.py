"""Runs the table of faults against one ingest process: a line per row, then a line of JSON. Exits 1 if a row is not ok.

`python -m tests.faults WORDS` plays only the rows whose transport and name hold all the words.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sample_streams.rtmp_server import rtmp_server
from tests.faults.fault import Fault, Servers
from tests.faults.healthy import Healthy, healthy_rooms
from tests.faults.play import Result, play
from tests.faults.table import FAULTS
from tests.faults.watch import Watch

_SCRIPTED_LANES = 3


def lanes(faults: Sequence[Fault[Any]]) -> list[list[Fault[Any]]]:
    """Rows that may run beside each other: those of a shared server in one lane, the others in lanes of their own."""
    scripted = [fault for fault in faults if fault.server is None]
    shared = [[fault for fault in faults if fault.server == kind] for kind in ("nginx", "node")]
    return [*shared, *(scripted[at::_SCRIPTED_LANES] for at in range(_SCRIPTED_LANES))]


def run(faults: Sequence[Fault[Any]]) -> list[Result]:
    """Plays the rows, and says of each as it ends what came of it."""
    os.environ["PYTHONPATH"] = str(Path(__file__).with_name("resolver"))  # of the ingest processes, not of this one
    watch = Watch()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="faults-") as folder,
            healthy_rooms(watch, Path(folder)) as healthy,
            rtmp_server("nginx") as nginx,
            rtmp_server("node") as node,
        ):
            servers = Servers(nginx=nginx, node=node)
            results = play_lanes(faults, watch, servers, healthy)
            results[-1].wrong += aftermath(watch, healthy)
    finally:
        watch.close()
    return results


def aftermath(watch: Watch, healthy: Healthy) -> list[str]:
    """What the run as a whole did that it must not have."""
    wrong = [f"though nothing happened to it, {moved}" for moved in healthy.moved()]
    wrong += [f"{watch.lost()} ingest processes died"] if watch.lost() else []
    wrong += [str(error) for error in watch.fatal]
    for fault in wrong:
        print(f"FAILED {fault}")
    return wrong


def play_lanes(faults: Sequence[Fault[Any]], watch: Watch, servers: Servers, healthy: Healthy) -> list[Result]:
    """Each lane on a thread of its own."""

    def play_lane(lane: Sequence[Fault[Any]]) -> list[Result]:
        results = []
        for fault in lane:
            results.append(play(fault, f"row-{faults.index(fault)}", watch, servers, healthy))
            print(line(results[-1]), flush=True)
        return results

    with ThreadPoolExecutor(max_workers=len(lanes(faults))) as pool:
        return [result for results in pool.map(play_lane, lanes(faults)) for result in results]


def line(result: Result) -> str:
    """A row of the report, and below it what is wrong."""
    story = " → ".join(f"{what} {after_s:.1f}" for what, after_s in result.reached)
    stop = f"{result.stop_s:.2f}" if result.stop_s is not None else "–"
    name = f"{result.fault.transport}: {result.fault.name}"
    head = "ok    " if result.ok else "FAILED"
    row = f"{head} {name:<58} stop {stop:>5} s  gap {result.gap_intervals:.1f}  {result.took_s:4.1f} s  {story}"
    return "\n".join([row, *(f"       {wrong}" for wrong in result.wrong)])


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="play only the rows whose transport and name hold all of these")
    words = parser.parse_args().words
    faults = [fault for fault in FAULTS if all(word in f"{fault.transport}: {fault.name}" for word in words)]
    if not faults:
        parser.error("there is no such row")
    began_s = time.monotonic()
    results = run(faults)
    failed = [result for result in results if not result.ok]
    print(f"{len(results) - len(failed)} of {len(results)} rows ok, in {time.monotonic() - began_s:.0f} s")
    figures = {
        "faults": len(results),
        "states_ok": sum(result.states_ok for result in results),
        "max_stop_s": round(max(result.stop_s for result in results if result.stop_s is not None), 2),
        "max_other_gap_intervals": round(max(result.gap_intervals for result in results), 2),
    }
    print(json.dumps(figures))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
