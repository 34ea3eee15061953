"""What an ingest process leaves behind when it crashes: which of its threads did it.

Python's `faulthandler` writes the stack of the thread that the signal came from, inside FFmpeg too, into an anonymous
file that the engine's process holds open. All that it says of a thread is its functions' names (of all threads it shows
a hundred at most): so each room's thread runs in a function with a name of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import count
from types import FunctionType

_MARK = re.compile(rb" in (puller_[0-9]+)$", re.MULTILINE)
_MAX_BYTES = 1 << 14
_numbers = count(1)


def next_mark() -> str:
    """A name that no other thread of this process has."""
    return f"puller_{next(_numbers)}"


def marked(body: Callable[[], None], mark: str) -> Callable[[], None]:
    """What a thread is to run so that its stack shows its mark."""

    def run() -> None:
        body()

    return FunctionType(run.__code__.replace(co_name=mark), run.__globals__, mark, None, run.__closure__)


class Witness:
    """One process's. `fd` is for the process; close it here when it has been handed on."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("streammon-crash", os.MFD_CLOEXEC)

    def crashed_thread(self) -> str | None:
        """The thread's mark; None where the process did not crash, or in a thread without one."""
        match = _MARK.search(self._text())
        return None if match is None else match[1].decode()

    def stack(self) -> str:
        """The signal, and where the thread was, most recent call first; empty where there was no crash."""
        lines = self._text().decode("utf-8", errors="replace").split("\n")
        return "\n".join(line for line in lines if line.isprintable())  # a hostile process could write here too

    def close(self) -> None:
        """Lets go of the file. May be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _text(self) -> bytes:
        return os.pread(self.fd, _MAX_BYTES, 0) if self.fd >= 0 else b""
