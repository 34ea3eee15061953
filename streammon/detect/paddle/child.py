"""One child that runs the official package, from its start to its end. One thread's, save for `kill`."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from threading import Thread
from typing import IO

from streammon.detect.paddle.pipes import Pipes
from streammon.errors import ModelError

_log = logging.getLogger(__name__)

_REAP_S = 5.0
_KEPT_LINES, _LINE_CHARS = 3, 300
# What a dynamic linker and a C library need to know. No credentials, and no proxy.
_INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH")


class Child:
    """A process of a session of its own. `started_s` is `time.monotonic()`'s; `ready` is its owner's to set."""

    def __init__(self, command: Sequence[str]) -> None:
        """Raises ModelError where it cannot be started."""
        self.ready = False
        self.started_s = time.monotonic()
        self._folder = tempfile.TemporaryDirectory(prefix="streammon-paddleocr-", ignore_cleanup_errors=True)
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(self._folder.name),
                cwd=self._folder.name,
                start_new_session=True,  # Ctrl-C is for us, who end it when done with it
            )
        except OSError as error:
            self._folder.cleanup()
            raise ModelError(f"{command[0]} cannot be started: {error.strerror}; see detect.ocr.paddleocr") from error
        self._stdin, self._stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        self._listener = Thread(
            target=self._listen, args=(_pipe(self._process.stderr),), name="paddleocr-stderr", daemon=True
        )
        self._listener.start()
        self.pipes = Pipes(self._stdin.fileno(), self._stdout.fileno())

    @property
    def pid(self) -> int:
        """The process's id, also once it has ended."""
        return self._process.pid

    def kill(self) -> None:
        """Ends it now, with whatever it has started. From any thread; may be called twice."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._reaped(_REAP_S)

    def end(self, *, grace_s: float = 0.0) -> str:
        """Kills and reaps it and lets go of all it had; how it ended, with the end of what it said on stderr.

        One that closed its pipes may need `grace_s` until it has ended by itself.
        """
        status = self._reaped(grace_s)
        self.kill()
        self._listener.join(_REAP_S)
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        self._folder.cleanup()
        how = "was ended" if status is None else f"ended with status {status}"
        return f"{how}; it said: {' | '.join(self._said) or 'nothing'}"

    def _reaped(self, within_s: float) -> int | None:
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    def _listen(self, stderr: IO[bytes]) -> None:
        """Keeps and logs what it says. The worker takes care that this holds nothing that was read in a picture."""
        with stderr:
            while line := stderr.readline(_LINE_CHARS):
                text = line.decode(errors="replace").strip()
                if text:
                    self._said.append(text)
                    _log.debug("paddleocr, process %d: %s", self._process.pid, text)


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    if end is None:
        raise ValueError("every stream of the child is a pipe")
    return end


def _environment(folder: str) -> dict[str, str]:
    """Little of ours: the folder stands for every place in which the package and those that it imports keep things."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | {
        "HOME": folder,
        "TMPDIR": folder,
        "PADDLE_PDX_CACHE_HOME": folder,
        "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True",
        "HF_HUB_OFFLINE": "1",
    }
