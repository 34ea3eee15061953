"""Kills an engine at random moments, and asks Kafka what came of what it had judged. `make bench-kill`, three minutes.

The engine is `killed_engine.py`: all that the monitor runs behind its detectors. Each life goes on from the state
folder of the one before. Exits with 1 where anything is not as promised; last line, JSON.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from sample_streams.broker import Broker
from streammon.bus import Consumer, Received
from streammon.deliver.envelope import Envelope
from streammon.events import StreamEvent, ViolationEvent
from tests.benchmarks.kill_audit import Told, audit
from tests.benchmarks.killed_engine import noted, told

ROOT = Path(__file__).resolve().parents[2]
TYPES: Mapping[str, type[ViolationEvent | StreamEvent]] = {
    "streammon.violations": ViolationEvent,
    "streammon.streams": StreamEvent,
}
"""A topic → what lies in it."""

_START_UP_EVERY = 6
"""One life in so many is ended while it takes over from the last; the others while they judge."""
_START_UP_S = 0.5
_JUDGES_S = 1.5
_LAST_S = 2.0
_READY_S = 30.0
_STOPS_S = 90.0
_QUIET_S = 2.0
_READ_S = 120.0


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


def consumed(bootstrap: str) -> list[Told]:
    """All that lies in the topics, until nothing more comes."""
    consumer, seen, until_s = Consumer(bootstrap, list(TYPES)), list[Told](), time.monotonic() + _READ_S
    try:
        while time.monotonic() < until_s:
            some = [_seen(message) for message in consumer.messages(_QUIET_S)]
            if seen and not some:
                break
            seen += some
    finally:
        consumer.close()
    return seen


def _seen(message: Received) -> Told:
    """Raises ValueError where it is no event of ours, or is called otherwise than what is in it."""
    sealed = Envelope.received(message.topic, message.key, message.headers, message.value or b"")
    event = msgspec.json.decode(sealed.value, type=TYPES[message.topic])
    if (sealed.event_id, sealed.key) != (event.event_id, event.room_id):
        raise ValueError(f"{sealed.event_id} of {sealed.key} is called otherwise than what is in it")
    return told(event, sealed.structured())


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


def main() -> int:
    """Kills, reads, counts, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="streammon-kills-") as folder, Broker() as broker:
        lives = Lives(folder=Path(folder), bootstrap=broker.bootstrap)
        judging = kill_often(lives, given.kills, random.Random(given.seed))  # noqa: S311 - not for secrets
        committed, seen = lives.noted(), consumed(broker.bootstrap)
    found = audit(committed, seen)
    print(
        f"{given.kills} kills, {judging} of them while judging, seed {given.seed}, {time.monotonic() - began_s:.0f} s"
    )
    print(f"  {len(committed)} events noted after their commit, {found.events} seen, {found.duplicates} of them again")
    print(json.dumps({"kills": given.kills, **asdict(found)}))
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
