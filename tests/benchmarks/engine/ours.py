"""`streammon run` as a contender: the detectors that the peers run, events to a file, everything else as it ships.

But for `nsfw`, which runs the one net that the peers run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sample_streams.child import free_port
from tests.benchmarks.engine.measuring import Outcome
from tests.benchmarks.engine.point import INTERVAL_S
from tests.benchmarks.engine.scrape import Scrape, scrape

ROOT = Path(__file__).resolve().parents[3]
_STOP_S = 40.0
_LOST = ("overdue", "failed", "disabled")
"""Why a detector did not look at a frame that should have been looked at; the other reasons are as configured."""
_SPARED = ("unchanged", "nothing_new")
"""Why it did not have to: nothing has changed, or only where there is nothing for it."""
_BY_ROOM = "unfinished"
"""The frames of a room that are overdue for a detector; those that are failed or disabled are not counted by room."""


class Ours:
    """The monitor in its own processes. At one rate: a room that is sampled faster after a hit has more frames due."""

    name = "streammon"

    @contextmanager
    def watch(self, urls: Sequence[str]) -> Iterator[Running]:
        """See Contender."""
        with tempfile.TemporaryDirectory(prefix="streammon-bench-") as folder:
            running = Running(Path(folder), urls)
            try:
                yield running
            finally:
                running.close()


class Running:
    """One `streammon run`."""

    def __init__(self, folder: Path, urls: Sequence[str]) -> None:
        port = free_port()
        self._metrics_url = f"http://127.0.0.1:{port}/metrics"
        self._log = folder / "log"
        config = _configured(folder, urls, port)
        command = [sys.executable, "-c", "from streammon.cli import main; main()", "run", "-c", str(config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self.pids = [self._process.pid]
        self._before = Scrape(samples={})

    def seen(self) -> int:
        """See Watching."""
        if self._process.poll() is not None:
            raise SystemExit(f"streammon ended by itself; it said:\n{self._log.read_text(encoding='utf-8')[-2000:]}")
        try:
            return len(_examined(scrape(self._metrics_url)))
        except OSError:
            return 0

    def begin(self) -> None:
        """See Watching."""
        self._before = scrape(self._metrics_url)

    def outcome(self, seconds: float) -> Outcome:
        """See Watching."""
        now = scrape(self._metrics_url)
        return outcome(now.since(self._before), now, seconds)

    def close(self) -> None:
        """Ends it, and kills it where it does not end."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_S)


def outcome(added: Scrape, now: Scrape, seconds: float) -> Outcome:
    """From the metrics that were added in so many seconds, and as they are at the end.

    A frame that a detector did not look at counts as not judged: where it came too late in its own room, where it
    failed in every room alike, since that is not counted by room. `core-ms` is of each part per judged frame.
    """
    examined = _examined(added)
    frames = sum(examined.values())
    late = {int(room): n for (room, why), n in _dropped(added).items() if why == _BY_ROOM}
    skipped = added.by_two("streammon_frames_not_examined_total", "detector", "reason")
    lost = {name: sum(skipped.get((name, why), 0.0) for why in _LOST) for name, _ in skipped}
    failed = {name: number - skipped.get((name, "overdue"), 0.0) for name, number in lost.items()}
    kept = 1.0 - max(failed.values(), default=0.0) / max(frames, 1.0)
    reused = {
        name: sum(skipped.get((name, why), 0.0) for why in _SPARED) / max(frames, 1.0)
        for name, one in skipped
        if one in _SPARED
    }
    dropped = added.by("streammon_frames_dropped_total", "reason")
    cost_s = added.by("streammon_room_cpu_seconds_total", "part")
    (saturation,) = now.by("streammon_engine_saturation_ratio", "").values() or (0.0,)
    return Outcome(
        age_p50_s=added.quantile("streammon_frame_age_seconds", 0.5),
        age_p95_s=added.quantile("streammon_frame_age_seconds", 0.95),
        shares={
            room: (number - late.get(room, 0.0)) * kept * INTERVAL_S / seconds for room, number in examined.items()
        },
        notes={
            "saturation": saturation,
            **{f"core-ms {part}": 1000 * spent / max(frames, 1.0) for part, spent in sorted(cost_s.items())},
            **{f"reused {name}": share for name, share in sorted(reused.items())},
            **{f"lost in {name}": number for name, number in sorted(lost.items()) if number},
            **{reason: number for reason, number in sorted(dropped.items()) if number},
        },
    )


def _dropped(metrics: Scrape) -> Mapping[tuple[str, str], float]:
    return metrics.by_two("streammon_frames_dropped_total", "room", "reason")


def _examined(metrics: Scrape) -> dict[int, float]:
    judged = metrics.by("streammon_room_frames_examined_total", "room")
    return {int(room): number for room, number in judged.items() if number}


def _configured(folder: Path, urls: Sequence[str], port: int) -> Path:
    """Writes both files, in JSON, which is YAML."""
    rooms = [{"id": str(number), "url": url} for number, url in enumerate(urls)]
    settings = {
        "version": 1,
        "interval": f"{INTERVAL_S:g}s",
        "rooms": "rooms.yaml",
        "models": str(ROOT / "models"),
        "state": "state",
        "events": "events.jsonl",
        "detectors": ["nsfw", "qr", "ocr"],
        "detect": {"nsfw": {"model": "quality", "second": "off"}},
        "ingest": {"allow_networks": ["127.0.0.0/8"]},
        "pace": {"enabled": False},
        "http": {"port": port},
    }
    (folder / "rooms.yaml").write_text(json.dumps({"version": 1, "rooms": rooms}), encoding="utf-8")
    config = folder / "streammon.yaml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    return config
