"""The server of `rooms.py`, as a child process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

from sample_streams.child import ServerProcess, free_port, listens
from tests.benchmarks.engine.material import clips
from tests.benchmarks.engine.tree import usage

_SCRIPT = Path(__file__).with_name("rooms.py")
_START_S = 20.0


class Traffic:
    """Rooms of one mix, as many as are asked for. A context manager."""

    def __init__(self, mix: str) -> None:
        self.mix = mix
        port = free_port()
        command = [sys.executable, str(_SCRIPT), str(port), *map(str, clips(mix))]
        self._server = ServerProcess(lambda _: command, lambda: listens(port), _START_S)
        self._root = f"http://127.0.0.1:{port}"

    def url(self, room: int) -> str:
        """Where a room plays."""
        return f"{self._root}/{room}"

    def cpu_s(self) -> float:
        """What the server has used so far, in seconds."""
        return usage([self._server.pid] if self._server.pid is not None else []).cpu_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
