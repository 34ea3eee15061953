"""A real `streammon run` whose supervisor, engine, or both are killed again and again, and which is begun anew."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from streammon.fleet.engine_link import MODULE

ROOT = Path(__file__).resolve().parents[2]
VICTIMS = ("supervisor", "engine", "both")
"""Who is killed, in turn."""

_START_UP_EVERY = 5
"""One life in so many is ended before it watches. No multiple of the victims, so that it comes to each of them."""
_START_UP_S = 1.0
_WATCHES_S = 4.0
_LAST_S = 4.0
_READY_S = 60.0
_STOPS_S = 60.0
_LEFT_ENDS_S = 40.0
_POLL_S = 0.02
_OURS = (MODULE, "streammon.ingest.rooms.process")


class KilledRun:
    """The run of a configuration that serves on `port`, life after life. All that they say goes to one file."""

    def __init__(self, config: Path, port: int) -> None:
        self._command = [sys.executable, "-c", "from streammon.cli import main; main()", "run", "-c", str(config)]
        self._ready_url = f"http://127.0.0.1:{port}/readyz"
        self._log = config.with_name("log")
        self._seen: set[int] = set()
        self.begin()

    def begin(self) -> None:
        """Starts a supervisor."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def ready(self) -> bool:
        """Whether it says that its rooms are watched."""
        try:
            return httpx.get(self._ready_url, trust_env=False, timeout=10.0).status_code == 200
        except httpx.TransportError:
            return False

    def engine(self) -> int | None:
        """The process of its engine, if there is one now."""
        family = _descendants(self._process.pid)
        self._seen.update(family)
        return next((pid for pid in family if MODULE in _command_line(pid)), None)

    def until(self, what: Callable[[], object]) -> None:
        """Waits for that. Raises SystemExit where it does not come, or the run ends by itself."""
        until_s = time.monotonic() + _READY_S
        while not what():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise SystemExit(f"the run ended, or did not go on; it said:\n{self._said()}")
            time.sleep(_POLL_S)

    def kill(self, victim: str) -> None:
        """SIGKILL. A supervisor that was killed has a successor at once."""
        engine = self.engine()
        if victim != "engine":
            self._process.kill()
        if victim != "supervisor" and engine is not None:
            os.kill(engine, signal.SIGKILL)
        if victim != "engine":
            self._process.wait(_STOPS_S)
            self.begin()

    def stop(self) -> None:
        """Ends it as an operator would. Raises SystemExit where it does not in order, or anything is left of a life."""
        self.engine()
        self._process.terminate()
        if self._process.wait(_STOPS_S) != 0:
            raise SystemExit(f"the last run did not end in order; it said:\n{self._said()}")
        if left := self._left(_LEFT_ENDS_S):
            raise SystemExit(f"{len(left)} processes outlived those that started them; the runs said:\n{self._said()}")

    def close(self) -> None:
        """Sees to it that nothing is left. May be called twice."""
        with suppress(ProcessLookupError):
            self.engine()
        self._process.kill()
        self._process.wait(_STOPS_S)
        for pid in self._left(0.0):
            os.kill(pid, signal.SIGKILL)

    def _left(self, patience_s: float) -> list[int]:
        """Processes of former lives that still run, when all have ended or patience has."""
        until_s = time.monotonic() + patience_s
        while left := [pid for pid in self._seen if any(module in _command_line(pid) for module in _OURS)]:
            if time.monotonic() >= until_s:
                break
            time.sleep(_POLL_S)
        return left

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]


@contextmanager
def running(config: Path, port: int) -> Iterator[KilledRun]:
    """A run, of which nothing is left when the block is."""
    run = KilledRun(config, port)
    try:
        yield run
    finally:
        run.close()


def kill_in_turn(run: KilledRun, kills: int, chance: random.Random) -> None:
    """Kills supervisor, engine and both in turn, at random moments, then ends the run as an operator would."""
    for number in range(1, kills + 1):
        starting = number % _START_UP_EVERY == 0
        run.until(run.engine if starting else run.ready)
        time.sleep(chance.uniform(0.0, _START_UP_S if starting else _WATCHES_S))
        run.kill(VICTIMS[(number - 1) % len(VICTIMS)])
    run.until(run.ready)
    time.sleep(_LAST_S)
    run.stop()


def _descendants(pid: int) -> list[int]:
    """The processes that this one, and those that they, have started."""
    try:
        tasks = [(task / "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    children = [int(child) for task in tasks for child in task]
    return [one for child in children for one in (child, *_descendants(child))]


def _command_line(pid: int) -> str:
    """Empty where it is dead: so the id of one that was waited for is taken for nobody else's."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
