"""Asks an operator's command for a room's URL, for streams whose addresses are signed and expire."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event

from streammon.errors import SourceStopped, SourceUnreachable

URL_COMMAND_WITHIN_S = 15.0
_STEP_S = 0.1
_MAX_URL_CHARACTERS = 8192


def fresh_url(command: Sequence[str], stop: Event) -> str:
    """The URL that the command prints as its only line. Asked before every connection.

    The command is run without a shell, and when it ends, what it started ends with it. Raises SourceUnreachable,
    without its output, where it fails, takes longer than 15 s, or prints something else; SourceStopped soon after
    `stop` is set.
    """
    with _running(command) as process:
        _wait(process, stop)
        output = _printed(process)
    if process.returncode:
        raise SourceUnreachable(f"the URL command failed with exit status {process.returncode}; run it by hand")
    url = output.decode("utf-8", errors="replace").strip()
    if not url or len(url) > _MAX_URL_CHARACTERS or not url.isprintable():
        raise SourceUnreachable("the URL command should print one URL and nothing else; run it by hand")
    return url


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process group of its own, all of which is killed afterwards."""
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise SourceUnreachable(f"the URL command cannot be run: {error.strerror}; check `url_command`") from error
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], stop: Event) -> None:
    """Waits for the command's end. One that prints more than a pipe holds waits for us in turn, and is too late."""
    until_s = time.monotonic() + URL_COMMAND_WITHIN_S
    while not _has_ended(process):
        if stop.wait(_STEP_S):
            raise SourceStopped("the room is being stopped")
        if time.monotonic() > until_s:
            raise SourceUnreachable(f"the URL command took longer than {URL_COMMAND_WITHIN_S:g} s; run it by hand")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; its number, and so its group's, is kept from being given to others until it is waited for."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _printed(process: subprocess.Popen[bytes]) -> bytes:
    """What lies in the pipe: what the command has started may hold it open for ever."""
    if process.stdout is None:
        return b""
    os.set_blocking(process.stdout.fileno(), False)
    return process.stdout.read(_MAX_URL_CHARACTERS + 2) or b""
