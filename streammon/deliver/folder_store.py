"""Keeps pictures in a folder: each whole or not at all, and on the disk. One thread."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from streammon.deliver.disk import sync_folder
from streammon.deliver.picture_store import Kept
from streammon.errors import EvidenceError

_BATCH = 1000


class FolderStore:
    """A PictureStore on a file system.

    The folder is created when the first picture is written. If it is gone later it is not made again, for it may be a
    volume that is not mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._created = False

    def put(self, key: str, jpeg: bytes) -> None:
        """See `PictureStore.put`."""
        with self._translated("make it a writable folder with free space"):
            if not self._created:
                self._folder.mkdir(parents=True, exist_ok=True)
                sync_folder(self._folder.parent)
                self._created = True
            elif not self._folder.is_dir():
                raise NotADirectoryError(0, "is gone")
            self._write(self._folder / key, jpeg)

    def delete(self, keys: Sequence[str]) -> None:
        """See `PictureStore.delete`. Folders that this empties go too."""
        with self._translated("make it a writable folder"):
            if not self._folder.is_dir():  # pictures on a volume that is not mounted are not gone
                raise NotADirectoryError(0, "is gone")
            for key in keys:
                path = self._folder / key
                path.unlink(missing_ok=True)
                self._prune(path.parent)

    def kept(self, prefix: str) -> Iterator[list[Kept]]:
        """See `PictureStore.kept`. What a crash left half written counts."""
        with self._translated("make it readable"):
            found = self._below(self._folder / prefix)
            while batch := list(islice(found, _BATCH)):
                yield batch

    def _write(self, path: Path, jpeg: bytes) -> None:
        missing = [folder for folder in path.relative_to(self._folder).parents if not (self._folder / folder).is_dir()]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            file.write(jpeg)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
        for folder in missing:  # their names, too, must outlast a power cut: the spool forgets the picture next
            sync_folder((self._folder / folder).parent)

    def _prune(self, folder: Path) -> None:
        """Removes a folder and those above it, as far as they are empty."""
        while folder != self._folder:
            try:
                folder.rmdir()
            except OSError:  # it holds something, or is not there
                return
            folder = folder.parent

    def _below(self, folder: Path) -> Iterator[Kept]:
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._below(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    key = Path(entry.path).relative_to(self._folder).as_posix()
                    yield Kept(key=key, written_s=entry.stat().st_mtime)

    @contextmanager
    def _translated(self, cure: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EvidenceError(f"evidence folder {self._folder}: {error.strerror}: {cure}") from error
