"""Asks an operator's command for a room's URL, for streams whose addresses are signed and expire."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from threading import Event

from streammon.errors import SourceStopped, SourceUnreachable

_WITHIN_S = 15.0
_STEP_S = 0.1
_MAX_URL_CHARACTERS = 8192


def fresh_url(command: Sequence[str], stop: Event) -> str:
    """The URL that the command prints as its only line. Asked before every connection.

    The command is run without a shell. Raises SourceUnreachable, without its output, where it fails, takes longer than
    15 s, or prints something else; SourceStopped soon after `stop` is set.
    """
    try:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise SourceUnreachable(f"the URL command cannot be run: {error.strerror}; check `url_command`") from error
    with process:
        try:
            _wait(process, stop)
        finally:
            process.kill()
        output = b"" if process.stdout is None else process.stdout.read(_MAX_URL_CHARACTERS + 2)
    if process.returncode:
        raise SourceUnreachable(f"the URL command failed with exit status {process.returncode}; run it by hand")
    url = output.decode("utf-8", errors="replace").strip()
    if not url or len(url) > _MAX_URL_CHARACTERS or not url.isprintable():
        raise SourceUnreachable("the URL command should print one URL and nothing else; run it by hand")
    return url


def _wait(process: subprocess.Popen[bytes], stop: Event) -> None:
    """Waits for the command's end. One that prints more than a pipe holds waits for us in turn, and is too late."""
    until_s = time.monotonic() + _WITHIN_S
    while process.poll() is None:
        if stop.wait(_STEP_S):
            raise SourceStopped("the room is being stopped")
        if time.monotonic() > until_s:
            raise SourceUnreachable(f"the URL command took longer than {_WITHIN_S:g} s; run it by hand")
