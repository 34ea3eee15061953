"""Sees to it that a state folder belongs to one process of a kind, by a lock that the kernel drops with the process."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Flag

from streammon.errors import StreammonError

_log = logging.getLogger(__name__)

_RETRY_S = 0.1


@contextmanager
def held(path: Path, stop: Flag, wait_s: float = 0.0) -> Iterator[None]:
    """Holds the lock of the file at `path`, which is made where it is missing and stays; its folder too.

    Raises StreammonError where another process holds it, and goes on to for `wait_s` or until `stop` is set, and where
    the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StreammonError(f"{path}: {error.strerror}; make the state folder writable") from error
    try:
        _take(lock_fd, path, stop, wait_s)
        os.ftruncate(lock_fd, 0)
        os.pwrite(lock_fd, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(lock_fd)


def _take(lock_fd: int, path: Path, stop: Flag, wait_s: float) -> None:
    until_s, told = time.monotonic() + wait_s, False
    while True:
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock_fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
        else:
            return
        if time.monotonic() >= until_s:
            raise StreammonError(f"{path.parent} is in use by process {holder}; stop it, or name another `state`")
        if not told:
            told = True
            _log.warning("waiting up to %g s for process %s to let go of %s", wait_s, holder, path.parent)
        if stop.wait(_RETRY_S):
            raise StreammonError(f"stopped while process {holder} held {path.parent}")
