"""A server run as a child process: started, waited for, stopped within bounds, and never left behind."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from streammon.errors import StreammonError

_STOP_S = 5.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def listens(port: int) -> bool:
    """Whether something on 127.0.0.1 accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """One server in the foreground, with a folder of its own that is removed with it. Also a context manager.

    `command` is given the folder and returns the argument list; `ready` says whether the server answers. Raises
    StreammonError with the end of the server's output where it does not answer within `start_s` seconds.
    """

    def __init__(self, command: Callable[[Path], Sequence[str]], ready: Callable[[], bool], start_s: float) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="streammon-server-")
        self.folder = Path(self._temporary.name)
        self._command, self._ready, self._start_s = command, ready, start_s
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int | None:
        """The process id, None where it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def stop(self) -> None:
        """Ends the server with SIGTERM, and with SIGKILL where it has not gone after 5 s. Its folder stays."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the server with SIGKILL, as a crash would. Its folder stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_STOP_S)

    def restart(self) -> None:
        """Starts the server again on the same ports and folder, stopping it first where it runs."""
        self.stop()
        self._start()

    def close(self) -> None:
        """Stops the server and removes its folder. May be called twice."""
        self.stop()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        command = self._command(self.folder)
        log = self.folder / "output.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for whoever started us, who stops us when done with us
            )
        give_up_s = time.monotonic() + self._start_s
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > give_up_s:
                said = log.read_text(encoding="utf-8", errors="replace")[-500:].strip()
                raise StreammonError(f"{Path(command[0]).name} did not start: {said or 'it said nothing'}")
            time.sleep(0.02)
