"""A place to make weights in, on the file system they belong on, so that files appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streammon.errors import ModelError

_PREFIX = ".pull-"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A fresh folder inside `root`, gone afterwards. One process at a time has one.

    Raises ModelError where another process has one, and for every OSError of the work inside: it is the disk's.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (root / ".lock").open("w") as lock:
            _take(lock.fileno(), root)
            # Under the lock, an older one can only be what a killed pull left behind.
            for left_over in root.glob(f"{_PREFIX}*"):
                shutil.rmtree(left_over)
            with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=root) as folder:
                yield Path(folder)
    except OSError as err:
        cure = "make it writable, or choose another folder"
        raise ModelError(f"cannot write to {root}: {err.strerror or err}; {cure}") from err


def _take(lock: int, root: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise ModelError(f"another process is pulling into {root}: wait for it, then pull again") from err


def put(made: Path, place: Path) -> None:
    """Move a finished file over `place`, its bytes on the disk before its name is. Raises OSError."""
    with made.open("rb") as written:
        os.fsync(written.fileno())
    made.replace(place)
