"""One list as one file: the arrays as NumPy's .npz, and in it, as JSON, everything else. Any thread.

A file appears whole or not at all, and its checksums are those of a zip archive.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.lib.npyio import NpzFile

from streammon.errors import LibraryError
from streammon.library.listing import Arrays, EmbeddingModel, Entry, Kind, Listing, Thresholds
from streammon.taxonomy import load_taxonomy

VERSION = 1
SUFFIX = ".npz"
_HEAD = "list"
# Faces are nobody else's business; the monitor may run as another user of the group.
_MODE = 0o640
_UNFINISHED = ".unfinished-"
# RuntimeError: where the damage reads as a password, or a way of packing, that `zipfile` does not have.
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, RuntimeError, msgspec.MsgspecError)


class _Version(msgspec.Struct):
    version: int


class _Entry(msgspec.Struct):
    id: str
    name: str
    photos: int
    added_at: datetime
    note: str = ""


class _Head(msgspec.Struct):
    version: int
    kind: Kind
    label: str
    review: float
    sure: float
    model: str
    model_sha256: str
    entries: list[_Entry]
    allow: bool = False


def read_list(path: Path, kind: Kind) -> Listing:
    """The list in a file, which is named after it. Raises LibraryError, which names the file and the cure."""
    try:
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        head = _head(path, arrays.pop(_HEAD).tobytes(), kind)
        listing = _listing(path, head, arrays)
    except OSError as error:
        raise LibraryError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise LibraryError(f"{path}: is no list, or damaged; bring back a copy, or remove it and enrol anew") from error
    if fault := _fault(listing):
        raise LibraryError(f"{path}: {fault}; bring back a copy, or remove it and enrol anew")
    return listing


def write_list(path: Path, listing: Listing) -> None:
    """Puts the list in the place of `path`, on the disk before it is seen. The caller sees to it that nobody else does.

    Raises LibraryError where the disk does not take it.
    """
    head = _Head(
        version=VERSION,
        kind=listing.kind,
        label=listing.label,
        review=listing.thresholds.review,
        sure=listing.thresholds.sure,
        model=listing.model.id,
        model_sha256=listing.model.sha256,
        entries=[_Entry(e.id, e.name, e.photos, e.added_at, e.note) for e in listing.entries],
        allow=listing.allow,
    )
    unfinished = path.with_name(f"{_UNFINISHED}{path.name}")
    try:
        with unfinished.open("wb") as file:
            os.fchmod(file.fileno(), _MODE)
            arrays = {_HEAD: np.frombuffer(msgspec.json.encode(head), np.uint8), **listing.arrays}
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise LibraryError(f"{path}: cannot be written: {error.strerror or error}") from error


def sweep(folder: Path) -> None:
    """Removes what writers that were killed left behind: it may hold what was to be forgotten."""
    for left_over in folder.glob(f"{_UNFINISHED}*"):
        left_over.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _head(path: Path, text: bytes, kind: Kind) -> _Head:
    version = msgspec.json.decode(text, type=_Version).version
    if version != VERSION:
        raise LibraryError(
            f"{path}: is a list of version {version}, and this streammon reads {VERSION}: use the streammon that wrote "
            f"it, or remove it and enrol anew with `streammon library {kind} add`"
        )
    head = msgspec.json.decode(text, type=_Head)
    if head.kind is not kind:
        raise LibraryError(f"{path}: is a list of {head.kind}, not of {kind}; move it to the folder {head.kind}")
    return head


def _listing(path: Path, head: _Head, arrays: Arrays) -> Listing:
    try:
        thresholds = Thresholds(review=head.review, sure=head.sure)
    except LibraryError as error:
        raise LibraryError(f"{path}: {error}") from error
    return Listing(
        name=path.stem,
        kind=head.kind,
        label=head.label,
        thresholds=thresholds,
        model=EmbeddingModel(id=head.model, sha256=head.model_sha256),
        entries=tuple(
            Entry(id=e.id, name=e.name, photos=e.photos, added_at=e.added_at, note=e.note) for e in head.entries
        ),
        arrays=arrays,
        allow=head.allow,
    )


def _fault(listing: Listing) -> str:
    """What in a list does not fit together; empty where all does."""
    if listing.label not in load_taxonomy().labels:
        return f"its label {listing.label!r} is none of the taxonomy"
    vectors = listing.arrays.get("vectors")
    if vectors is None or vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        return "its vectors are none"
    photos = sum(entry.photos for entry in listing.entries)
    if any(len(rows) != photos for rows in listing.arrays.values()):
        return "its entries and its photos do not fit together"
    if len({entry.id for entry in listing.entries}) < len(listing.entries):
        return "two of its entries have one id"
    return ""
