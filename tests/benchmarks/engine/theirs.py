"""The peers as contenders: their scripts in their environments, their results read from what they write."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from tests.benchmarks.engine.material import CACHE
from tests.benchmarks.engine.measuring import Outcome
from tests.benchmarks.engine.ours import ROOT
from tests.benchmarks.engine.peers.environments import interpreter
from tests.benchmarks.engine.point import INTERVAL_S

_WEIGHTS = ROOT / "models" / "nsfwjs-inception-v3.onnx"
_STOP_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A frame that was looked at: its number in the room's stream; times are `time.monotonic()`, in seconds."""

    room: int
    frame: int
    read_s: float
    done_s: float


class Peer:
    """One script of `peers/`. `a_process_per_room`, or one for all."""

    def __init__(self, name: str, *, a_process_per_room: bool) -> None:
        self.name = name
        self._per_room = a_process_per_room
        self._python = interpreter(name, CACHE)

    @contextmanager
    def watch(self, urls: Sequence[str]) -> Iterator[Running]:
        """See Contender."""
        script = [str(self._python), "-m", f"tests.benchmarks.engine.peers.{self.name}", str(_WEIGHTS)]
        each = [[*script, str(room), url] for room, url in enumerate(urls)]
        with tempfile.TemporaryDirectory(prefix="streammon-bench-") as folder:
            running = Running(Path(folder), each if self._per_room else [[*script, *urls]])
            try:
                yield running
            finally:
                running.close()


class Running:
    """The processes of one peer."""

    def __init__(self, folder: Path, commands: Sequence[Sequence[str]]) -> None:
        self._outputs = [folder / f"{number}.jsonl" for number in range(len(commands))]
        self._processes = [_started(command, path) for command, path in zip(commands, self._outputs, strict=True)]
        self.pids = [process.pid for process in self._processes]
        self._began_s = 0.0

    def seen(self) -> int:
        """See Watching."""
        for process, output in zip(self._processes, self._outputs, strict=True):
            if process.poll() is not None:
                said = output.with_suffix(".log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SystemExit(f"{process.args!r} ended by itself; it said:\n{said}")
        return len({result.room for result in self._results()})

    def begin(self) -> None:
        """See Watching."""
        self._began_s = time.monotonic()

    def outcome(self, seconds: float) -> Outcome:
        """See Watching."""
        return outcome(self._results(), self._began_s, seconds)

    def close(self) -> None:
        """Kills them: they have nothing to save."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(_STOP_S)

    def _results(self) -> list[Result]:
        return [result for output in self._outputs for result in _read(output)]


def outcome(results: Iterable[Result], began_s: float, seconds: float) -> Outcome:
    """Of what was written within so many seconds from `began_s` on.

    `behind_s` is by how much the stream went on faster than a room's frames in that time, in the room that fell behind
    most: its frames are older than what is read from them on says.
    """
    inside = [one for one in results if began_s <= one.done_s < began_s + seconds]
    counts = Counter(one.room for one in inside)
    ages = sorted(one.done_s - one.read_s for one in inside)
    cuts = quantiles(ages, n=20, method="inclusive") if len(ages) > 1 else [float("inf")] * 19
    return Outcome(
        age_p50_s=cuts[9],
        age_p95_s=cuts[18],
        shares={room: number * INTERVAL_S / seconds for room, number in counts.items()},
        notes={"behind_s": max((_behind_s([o for o in inside if o.room == room]) for room in counts), default=0.0)},
    )


def _behind_s(room: Sequence[Result]) -> float:
    first, last = min(room, key=lambda one: one.read_s), max(room, key=lambda one: one.read_s)
    return (last.read_s - first.read_s) - (last.frame - first.frame) / 30


def _started(command: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as out, output.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=log)


def _read(output: Path) -> Iterator[Result]:
    """A line that is being written is left out; whatever else a library prints there, too."""
    for line in output.read_bytes().splitlines(keepends=True):
        if line.startswith(b'{"room"') and line.endswith(b"\n"):
            told = json.loads(line)
            yield Result(room=told["room"], frame=told["frame"], read_s=told["read_s"], done_s=told["done_s"])
