"""Deletes the pictures of a room or a tenant: what was asked for is a file until it is done, whoever does it.

The monitor, which holds the spool, deletes; where none runs, whoever asks does it. The store's thread.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streammon.deliver.disk import sync_folder
from streammon.deliver.evidence_ledger import Ledger, with_copies
from streammon.deliver.evidence_path import PathTemplate
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_store import PictureStore
from streammon.errors import EvidenceError
from streammon.events import EvidenceStatus

_SLICE = 100
_ASKED, _DONE, _LISTED = ".asked", ".done", ".deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What to delete: of a room, a tenant or a tenant's room, all that was taken before a time, UTC epoch seconds."""

    request_id: str
    room_id: str | None
    tenant: str | None
    before_s: float


class DeletionQueue:
    """The requests in a folder. Any process; each method raises EvidenceError where the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, *, room_id: str | None, tenant: str | None, before_s: float) -> Deletion:
        """Queue a request: when this returns it is on the disk."""
        deletion = Deletion(request_id=uuid.uuid4().hex, room_id=room_id, tenant=tenant, before_s=before_s)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(deletion)
        except OSError as error:
            raise self._error(error) from error
        return deletion

    def waiting(self) -> list[Deletion]:
        """The requests that are not done, in no order. One that cannot be read is no request."""
        try:
            contents = [path.read_bytes() for path in self._folder.glob(f"*{_ASKED}")]
            return [msgspec.json.decode(content, type=Deletion) for content in contents]
        except (OSError, msgspec.MsgspecError) as error:
            raise EvidenceError(f"deletions in {self._folder}: {error}: remove what is no request") from error

    def note(self, deletion: Deletion, keys: list[str]) -> None:
        """Say which pictures are deleted; some may be said again after a crash."""
        try:
            with self._path(deletion, _LISTED).open("a", encoding="ascii") as file:
                file.writelines(f"{key}\n" for key in keys)
        except OSError as error:
            raise self._error(error) from error

    def finish(self, deletion: Deletion) -> None:
        """All of it is deleted."""
        try:
            self._path(deletion, _ASKED).replace(self._path(deletion, _DONE))
        except OSError as error:
            raise self._error(error) from error

    def finished(self, deletion: Deletion) -> list[str] | None:
        """The paths that were deleted, each once; None where it is not done. The request is forgotten by that."""
        done, listed = self._path(deletion, _DONE), self._path(deletion, _LISTED)
        try:
            if not done.exists():
                return None
            keys = listed.read_text(encoding="ascii").splitlines() if listed.exists() else []
            listed.unlink(missing_ok=True)
            done.unlink()
        except OSError as error:
            raise self._error(error) from error
        return list(dict.fromkeys(keys))

    def _write(self, deletion: Deletion) -> None:
        path = self._path(deletion, _ASKED)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(msgspec.json.encode(deletion))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(self._folder)

    def _path(self, deletion: Deletion, suffix: str) -> Path:
        return self._folder / f"{deletion.request_id}{suffix}"

    def _error(self, error: OSError) -> EvidenceError:
        return EvidenceError(f"deletions in {self._folder}: {error.strerror}: make it a writable folder")


class Deleter:
    """Does what the queue asks for, a slice at a time.

    First what the outbox knows, waiting or stored, of which events tell; then what else lies in the store under paths
    of that room or tenant: put there by another monitor, or by one whose spool is lost.
    """

    def __init__(
        self, outbox: Outbox, store: PictureStore, ledger: Ledger, template: PathTemplate, queue: DeletionQueue
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._ledger = ledger
        self._template = template
        self._queue = queue
        self._under_way: Iterator[None] | None = None

    def step(self) -> bool:
        """Do a slice; False where nothing is asked for. Raises EvidenceError where it fails: then it is begun again."""
        if self._under_way is None:
            deletion = next(iter(self._queue.waiting()), None)
            if deletion is None:
                return False
            self._under_way = self._slices(deletion)
        under_way, self._under_way = self._under_way, None
        for _ in under_way:
            self._under_way = under_way
            return True
        return True

    def _slices(self, deletion: Deletion) -> Iterator[None]:
        while self._delete_known(deletion):
            yield
        for keys in self._unknown(deletion):
            self._store.delete(keys)
            self._queue.note(deletion, keys)
            yield
        self._queue.finish(deletion)

    def _delete_known(self, deletion: Deletion) -> bool:
        found = self._outbox.pictures_of(
            room_id=deletion.room_id, tenant=deletion.tenant, before_s=deletion.before_s, limit=_SLICE
        )
        if found:
            self._store.delete([key for picture in found for key in with_copies(picture)])
            self._queue.note(deletion, [picture.key for picture in found])
            self._ledger.gone(found, EvidenceStatus.DELETED, "requested")
        return bool(found)

    def _unknown(self, deletion: Deletion) -> Iterator[list[str]]:
        named = {"tenant": deletion.tenant, "room_id": deletion.room_id}
        pattern = self._template.pattern(**named)
        for kept in self._store.kept(self._template.prefix(**named)):
            yield [one.key for one in kept if one.written_s < deletion.before_s and pattern.fullmatch(one.key)]
