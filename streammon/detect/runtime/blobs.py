"""What a provider has compiled, kept on disk so that the next start is fast; never trusted further than it was tried.

A folder is marked unfinished from before a model is opened until its runs in every shape have succeeded. One that is
found marked, by a process that was killed or that the blob itself brought down, is emptied. Used by one thread.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

_MARK = "unfinished"


class BlobCache:
    """A folder per model and build. An engine has it for itself, as it has its state folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._used: set[Path] = set()

    def folder(self, sha256: str, build: str) -> Path | None:
        """Where the blobs of a model's file are kept that this build has compiled, marked; None where none can be.

        `build` tells apart what must not be shared: provider, versions, threads, processor.
        """
        folder = self._root / build / sha256
        if folder in self._used:
            return folder
        try:
            self._prepare(folder)
        except OSError as error:
            log.warning("compiled models cannot be kept: %s", error)
            return None
        self._used.add(folder)
        return folder

    def discard(self, folder: Path) -> bool:
        """Drop blobs that do not load, the folder with them; whether there were any."""
        blobs = [path for path in folder.rglob("*") if path.name != _MARK]
        if blobs:
            log.warning("compiled blobs in %s are not usable and are made anew", folder)
            shutil.rmtree(folder, ignore_errors=True)
        return bool(blobs)

    def settle(self) -> None:
        """What is open has run in every shape: trust its blobs, and drop those of models and versions not in use."""
        try:
            for folder in self._used:
                _flush(folder)
                (folder / _MARK).unlink(missing_ok=True)
            if self._root.is_dir():
                self._prune()
        except OSError as error:
            log.warning("compiled models cannot be kept: %s", error)

    def _prepare(self, folder: Path) -> None:
        # A provider loads a blob as code: nobody else may write there.
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / _MARK).exists():
            self.discard(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()

    def _prune(self) -> None:
        for build in self._root.iterdir():
            for folder in build.iterdir():
                if folder not in self._used:
                    shutil.rmtree(folder, ignore_errors=True)
            if not any(build.iterdir()):
                build.rmdir()


def _flush(folder: Path) -> None:
    """On disk before the mark goes, or a power cut leaves half a blob that looks whole."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Eight hex digits that differ between kinds of processor: a volume may move to another machine."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    except OSError:
        first = ""
    kinds = sorted(line for line in first.splitlines() if line.startswith(("model name", "flags", "Features")))
    return hashlib.sha256("\n".join(kinds).encode()).hexdigest()[:8]
