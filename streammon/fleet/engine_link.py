"""The supervisor's hold on one engine process: starts it, asks how it is, ends it. Any thread may ask.

Everything that the engine has to know lies in an anonymous file that is its standard input: addresses of rooms and
secrets are seen neither on a command line nor on a disk. It ends in order when its lifeline, a pipe, is closed, so
when the supervisor is gone too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from streammon.entities import Room
from streammon.errors import StreammonError
from streammon.fleet.config import Settings
from streammon.serve.upstream import Upstream

UNUSABLE = 78
"""Exit status of an engine that cannot run as it is configured (EX_CONFIG of sysexits.h): another try is in vain."""

MODULE = "streammon.fleet.engine_process"
_FOLDERS = "streammon-engine-"
_ASK_WITHIN_S = 3.0
_READY_WITHIN_S = 5.0
_DIES_WITHIN_S = 5.0


class Begin(msgspec.Struct, frozen=True):
    """What an engine is told at its start. `settings` is a `Settings` as JSON, `socket` where it serves HTTP."""

    settings: bytes
    rooms: tuple[Room, ...]
    socket: str
    log_level: int


def as_told(settings: Settings) -> bytes:
    """The settings as an engine reads them: with what a plug-in's own section has beside what all sections have."""
    return settings.model_dump_json(serialize_as_any=True).encode()


class EngineLink:
    """One engine process. Raises StreammonError where it cannot be started."""

    def __init__(self, settings: bytes, rooms: Sequence[Room], log_level: int, state: Path) -> None:
        """`state` is a folder that is this engine's alone."""
        self._folder = private_folder(state / "engine.folder")
        socket = self._folder / "engine.sock"
        self.upstream = Upstream(socket)
        begin = Begin(settings=settings, rooms=tuple(rooms), socket=str(socket), log_level=log_level)
        theirs, self._lifeline_fd = os.pipe()
        try:
            self._process = _start(begin, theirs)
        except OSError as error:
            self._let_go()
            raise StreammonError(f"the engine's process cannot be started: {error.strerror}") from error
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._process.poll()

    def trouble(self) -> str | None:
        """Why it should be replaced; None where it is well. Takes up to 3 s."""
        return self._complaint("/livez", _ASK_WITHIN_S)

    def not_ready(self) -> str | None:
        """Why it cannot watch rooms now; None where it can. Takes up to 5 s."""
        return self._complaint("/readyz", _READY_WITHIN_S)

    def stop(self) -> None:
        """Asks it to end in order. May be called twice."""
        lifeline_fd, self._lifeline_fd = self._lifeline_fd, -1
        if lifeline_fd >= 0:
            os.close(lifeline_fd)

    def close(self) -> None:
        """Sees to it that it is gone, by force where it is not, and what it leaves too. May be called twice."""
        if self._process.poll() is None:
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that the kernel holds is waited for by its successor
            self._process.wait(_DIES_WITHIN_S)
        self._let_go()

    def _let_go(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _complaint(self, target: str, timeout_s: float) -> str | None:
        try:
            return "; ".join(self.upstream.reasons(target, timeout_s)) or None
        except StreammonError as error:
            return f"{target} does not answer ({error})"


def how_it_ended(exit_code: int) -> str:
    """An exit code for people."""
    if exit_code < 0:
        return next((number.name for number in signal.Signals if number == -exit_code), f"signal {-exit_code}")
    return f"exit status {exit_code}"


def private_folder(note: Path) -> Path:
    """A new one, of mode 0700, for a socket: the paths of those are short. `note` keeps its name, so that the one that
    an engine and its supervisor left, which were killed together, is removed.
    """
    with suppress(OSError):
        left = Path(note.read_text(encoding="utf-8"))
        if left.name.startswith(_FOLDERS) and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDERS))
    except OSError as error:
        raise StreammonError(f"{tempfile.gettempdir()} takes no folder: {error.strerror}; set TMPDIR") from error
    with suppress(OSError):
        note.write_text(str(folder), encoding="utf-8")
    return folder


def _start(begin: Begin, lifeline_fd: int) -> subprocess.Popen[bytes]:
    with open(os.memfd_create("streammon-begin"), "w+b") as told:  # noqa: PTH123 - a descriptor has no path
        told.write(msgspec.msgpack.encode(begin))
        told.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", MODULE, str(lifeline_fd)],
            stdin=told,
            pass_fds=(lifeline_fd,),
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops its engine in order
        )
