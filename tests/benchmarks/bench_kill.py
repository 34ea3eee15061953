"""Kills engines and supervisors at random moments, and asks Kafka what came of what was judged. `make bench-kill`.

First `killed_engine.py`, all that the monitor runs behind its detectors, at a load; then a real `streammon run`, of
which supervisor, engine and both are killed in turn. Each life goes on from the state folder of the one before. Five
minutes. Exits with 1 where anything is not as promised; last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sample_streams.broker import Broker
from sample_streams.child import free_port
from tests.benchmarks import killed_rooms
from tests.benchmarks.kill_audit import Audit, Told, audit
from tests.benchmarks.kill_seen import consumed
from tests.benchmarks.killed_engine import noted
from tests.benchmarks.killed_run import VICTIMS, kill_in_turn, running

ROOT = Path(__file__).resolve().parents[2]
_START_UP_EVERY = 6
"""One life in so many is ended while it takes over from the last; the others while they judge."""
_START_UP_S = 0.5
_JUDGES_S = 1.5
_LAST_S = 2.0
_READY_S = 30.0
_STOPS_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """A state folder and what its engines noted, a file each. `bootstrap` is the broker's."""

    folder: Path
    bootstrap: str

    @contextmanager
    def begin(self, number: int, until: str) -> Iterator[subprocess.Popen[str]]:
        """An engine that has said `until`. Ended when the block is left, whatever happens."""
        names = (self.folder / "state", self.folder / f"notes-{number}", self.bootstrap, number)
        command = [sys.executable, "-m", "tests.benchmarks.killed_engine", *map(str, names)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as engine:
            try:
                _await(engine, until)
                yield engine
            finally:
                engine.kill()

    def noted(self) -> list[Told]:
        """What all of them noted, the oldest first."""
        notes = sorted(self.folder.glob("notes-*"), key=lambda path: int(path.name.partition("-")[2]))
        return [line for path in notes for line in noted(path)]


def kill_often(lives: Lives, kills: int, chance: random.Random) -> int:
    """Ends so many engines with SIGKILL, then one as an operator would. Returns how many were killed while judging."""
    judging = 0
    for number in range(1, kills + 1):
        starting = number % _START_UP_EVERY == 0
        with lives.begin(number, "up" if starting else "judging") as engine:
            time.sleep(chance.uniform(0.0, _START_UP_S if starting else _JUDGES_S))
            if engine.poll() is not None:
                raise SystemExit(f"engine {number} ended by itself with {engine.returncode}")
            engine.kill()
        judging += not starting
    with lives.begin(kills + 1, "judging") as engine:
        time.sleep(_LAST_S)
        engine.terminate()
        if engine.wait(_STOPS_S) != 0:
            raise SystemExit("the last engine could not deliver all that it had")
    return judging


def _await(engine: subprocess.Popen[str], word: str) -> None:
    """Reads until the engine has said `word`; one that takes too long is killed, which ends what is read."""
    assert engine.stdout is not None
    patience = threading.Timer(_READY_S, engine.kill)
    patience.start()
    try:
        if not any(line.strip() == word for line in engine.stdout):
            raise SystemExit(f"the engine never came to `{word}`")
    finally:
        patience.cancel()
        patience.join()


def engines_killed(kills: int, chance: random.Random) -> tuple[dict[str, int], Audit]:
    """The first part: how many were killed, and what came of it."""
    with tempfile.TemporaryDirectory(prefix="streammon-kills-") as folder, Broker() as broker:
        lives = Lives(folder=Path(folder), bootstrap=broker.bootstrap)
        judging = kill_often(lives, kills, chance)
        committed, seen = lives.noted(), consumed(broker.bootstrap)
    found = audit(committed, seen)
    print(f"{kills} kills of the engine alone, {judging} of them while judging")
    _print_seen(len(committed), found)
    return {"kills": kills, **asdict(found)}, found


def supervised_killed(kills: int, chance: random.Random) -> tuple[dict[str, int], Audit]:
    """The second part, the same of a real run. Here it is what the JSONL sink got that counts as noted."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="streammon-kills-") as folder, Broker() as broker:
        with running(killed_rooms.lay_out(Path(folder), broker.bootstrap, port), port) as run:
            kill_in_turn(run, kills, chance)
        delivered, seen = killed_rooms.noted(Path(folder)), consumed(broker.bootstrap)
    found = audit(delivered, seen)
    of_supervisor = sum(VICTIMS[number % len(VICTIMS)] != "engine" for number in range(kills))
    print(f"{kills} kills in a run, {of_supervisor} of them of the supervisor")
    _print_seen(len(delivered), found)
    figures = {f"supervised_{name}": count for name, count in asdict(found).items()}
    return {"supervised_kills": kills, "supervisor_kills": of_supervisor, **figures}, found


def _print_seen(noted_events: int, found: Audit) -> None:
    print(f"  {noted_events} events noted, {found.events} seen, {found.duplicates} of them again", flush=True)


def main() -> int:
    """Kills, reads, counts, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--supervised-kills", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("engine", "supervised"), help="one part alone")
    given = parser.parse_args()
    began_s = time.monotonic()
    parts: list[tuple[dict[str, int], Audit]] = []
    if given.only != "supervised":
        parts.append(engines_killed(given.kills, random.Random(given.seed)))  # noqa: S311 - not for secrets
    if given.only != "engine":
        parts.append(supervised_killed(given.supervised_kills, random.Random(given.seed)))  # noqa: S311
    print(f"seed {given.seed}, {time.monotonic() - began_s:.0f} s")
    print(json.dumps({name: count for figures, _ in parts for name, count in figures.items()}))
    return 1 if any(found.broken or not found.incidents for _, found in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
