"""How many events a second are durable and delivered, and how soon. `make bench-deliver`, a minute.

Judge → Committer → Outbox (SQLite, `synchronous=FULL`, a transaction per event) → Deliverer → Kafka, all threads of it
on one core, to a broker on loopback which may use all; beside it, in the same run and on the same core, the bare
kafka-python producer, which keeps nothing where the broker is away. Last line, JSON.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sample_streams.broker import Broker
from streammon.deliver.deliverer import BATCH
from tests.benchmarks.deliver_loads import ByKafkaPython, ByStreammon, Figures, Load, Way, measure

PACED = Load(events=3000, every_s=1 / 500)
FLAT_OUT = Load(events=2000)
_REPEATS = 3


def flush_ms(folder: Path) -> float:
    """What the disk takes to keep 4 KiB, the middle of 200 times."""
    took: list[float] = []
    with (folder / "flushed").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began_s)
    return 1000 * median(took)


def on_one_core() -> None:
    """From now on this thread, and those that it starts, share one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def middle(way: Callable[[], Way], load: Load) -> Figures:
    """The middle of several runs, by their rate."""
    runs = sorted((measure(way(), load) for _ in range(_REPEATS)), key=lambda run: run.events_per_s)
    return runs[len(runs) // 2]


def main() -> None:
    """Runs both ways under both loads, and prints."""
    with tempfile.TemporaryDirectory(prefix="streammon-deliver-") as name, Broker() as broker:
        folder = Path(name)
        # Where other programs keep more than all cores busy, the figures are theirs as much as ours.
        busy, *_ = os.getloadavg()
        print(f"the disk keeps 4 KiB in {flush_ms(folder):.2f} ms; one of {os.cpu_count()} cores, load {busy:.1f}")
        on_one_core()

        def ours() -> Way:
            return ByStreammon(broker.bootstrap, Path(tempfile.mkdtemp(dir=folder)))

        def theirs(batch: int) -> Callable[[], Way]:
            return lambda: ByKafkaPython(broker.bootstrap, batch)

        paced, bare_paced = middle(ours, PACED), middle(theirs(1), PACED)
        flat_out, bare_flat_out = middle(ours, FLAT_OUT), middle(theirs(BATCH), FLAT_OUT)
    print(f"{'':34}{'events/s':>9}{'CPU ms/event':>14}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}")
    _print("500/s, streammon", paced)
    _print("500/s, bare, each waited for", bare_paced)
    _print("flat out, streammon", flat_out)
    _print(f"flat out, bare, batches of {BATCH}", bare_flat_out)
    print(json.dumps(_summary(paced, bare_paced, flat_out, bare_flat_out)))


def _print(name: str, run: Figures) -> None:
    waited = "".join(f"{run.waited_ms(share):9.1f}" for share in (0.5, 0.95, 0.99))
    print(f"{name:34}{run.events_per_s:9.0f}{run.cpu_ms_per_event:14.2f}{waited}")


def _summary(paced: Figures, bare_paced: Figures, flat_out: Figures, bare_flat_out: Figures) -> dict[str, float]:
    return {
        "events_per_s": round(flat_out.events_per_s),
        "ack_p50_ms": round(paced.waited_ms(0.5), 1),
        "ack_p95_ms": round(paced.waited_ms(0.95), 1),
        "ack_p99_ms": round(paced.waited_ms(0.99), 1),
        "paced_events_per_s": round(paced.events_per_s),
        "cpu_ms_per_event": round(paced.cpu_ms_per_event, 2),
        "flat_out_cpu_ms_per_event": round(flat_out.cpu_ms_per_event, 2),
        "rate_to_bare": round(flat_out.events_per_s / bare_flat_out.events_per_s, 2),
        "cpu_to_bare": round(flat_out.cpu_ms_per_event / bare_flat_out.cpu_ms_per_event, 2),
        "paced_cpu_to_bare": round(paced.cpu_ms_per_event / bare_paced.cpu_ms_per_event, 2),
    }


if __name__ == "__main__":
    main()
