"""The folder of one kind of lists: what is there, and one writer at a time. A few threads of the caller's."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streammon.errors import LibraryError
from streammon.library.list_file import SUFFIX, read_list, sweep, sync_folder, write_list
from streammon.library.listing import EmbeddingModel, Kind, Listing, check_list_name

Stamp = tuple[tuple[str, int, int, int], ...]
"""What tells that lists have changed: of each file its name, size, inode and time of change."""

_RETRY_S = 0.05


class LibraryStore:
    """`root/KIND/LIST.npz` is the list LIST. A folder that is not there is a library without lists."""

    def __init__(self, root: Path, kind: Kind) -> None:
        self.kind = kind
        self._folder = root / kind.value

    def names(self) -> tuple[str, ...]:
        """Of all lists, in order. Raises LibraryError where the folder cannot be read."""
        return tuple(sorted(path.stem for path in self._files()))

    def path(self, name: str) -> Path:
        """Where a list is, or would be. Raises LibraryError where it cannot be called so."""
        return self._folder / f"{check_list_name(name)}{SUFFIX}"

    def read(self, name: str, model: EmbeddingModel | None = None) -> Listing:
        """A list. Raises LibraryError where there is none, it is damaged, or another than `model` made its vectors."""
        path = self.path(name)
        if not path.exists():
            raise self._unknown(name)
        listing = read_list(path, self.kind)
        if model is not None and listing.model != model:
            raise LibraryError(
                f"{path}: was made with {listing.model}, and what runs is {model}: remove it and enrol its pictures "
                f"anew with `streammon library {self.kind} add`"
            )
        return listing

    def stamp(self) -> Stamp:
        """Another one when any list has changed. Cheap: it looks at the files' times. Raises as `names`."""
        found = []
        for path in self._files():
            try:
                stat = path.stat()
            except OSError:  # removed just now
                continue
            found.append((path.name, stat.st_size, stat.st_ino, stat.st_mtime_ns))
        return tuple(sorted(found))

    @contextmanager
    def writing(self, wait_s: float = 10.0) -> Iterator[None]:
        """The right to `save` and `delete`. Raises LibraryError where another process holds it for `wait_s`."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        except OSError as error:
            raise LibraryError(f"{self._folder}: cannot be written: {error.strerror}; see to its rights") from error
        with lock:
            self._take(lock.fileno(), wait_s)
            sweep(self._folder)
            yield

    def save(self, listing: Listing) -> None:
        """Puts a list in the place of what it was. Only while `writing`. Raises LibraryError."""
        write_list(self.path(listing.name), listing)

    def delete(self, name: str) -> None:
        """Removes a whole list, damaged or not. Only while `writing`. Raises LibraryError, also where there is none."""
        path = self.path(name)
        if name not in self.names():
            raise self._unknown(name)
        try:
            path.unlink()
            sync_folder(self._folder)
        except OSError as error:
            raise LibraryError(f"{path}: cannot be removed: {error.strerror}") from error

    def _unknown(self, name: str) -> LibraryError:
        return LibraryError(f"there is no {self.kind} list {name!r}; the lists are: {', '.join(self.names()) or '-'}")

    def _take(self, descriptor: int, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= until_s:
                    raise LibraryError(
                        f"{self._folder}: another command is writing; try again when it is done"
                    ) from error
                time.sleep(_RETRY_S)
            else:
                return

    def _files(self) -> list[Path]:
        try:
            found = list(self._folder.iterdir())  # `glob` finds nothing where it may not look
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LibraryError(f"{self._folder}: cannot be read: {error.strerror}; see to its rights") from error
        return [path for path in found if path.suffix == SUFFIX and not path.name.startswith(".")]
