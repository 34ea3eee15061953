"""What an ingest process leaves behind when it crashes: which of its threads did it.

Python's `faulthandler` writes the threads' stacks into an anonymous file that the engine's process holds open. It marks
the thread that the signal came from, inside FFmpeg too.
"""

from __future__ import annotations

import os
import re

# faulthandler: "Current thread 0x00007f12 [name] (most recent call first):", then indented lines.
_CURRENT = re.compile(rb"^Current thread 0x([0-9a-f]+)[^\n]*\n((?:  [^\n]*\n)*)", re.MULTILINE)
_MAX_BYTES = 1 << 20


class Witness:
    """One process's. `fd` is for the process; close it here when it has been handed on."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("streammon-crash", os.MFD_CLOEXEC)

    def crashed_thread(self) -> int | None:
        """The thread's `threading.get_ident()`; None where the process did not crash, or in no thread of Python's."""
        match = _CURRENT.search(self._text())
        return None if match is None else int(match[1], 16)

    def stack(self) -> str:
        """Where that thread was, most recent call first; empty where it is not known."""
        match = _CURRENT.search(self._text())
        return "" if match is None else match[2].decode("ascii", errors="replace")

    def close(self) -> None:
        """Lets go of the file. May be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _text(self) -> bytes:
        return os.pread(self.fd, _MAX_BYTES, 0) if self.fd >= 0 else b""
