"""The manifest beside each stored weight file: what it was made of, and the hash it had when it was stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streammon.models.catalog import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`sources` are the sha256 of the package's files by path; `convert` is the step that was run, or None."""

    sha256: str
    size_bytes: int
    sources: Mapping[str, str]
    convert: str | None


def manifest_of(model: Model, weights: Path) -> Manifest:
    """The manifest of a file that was just made from the model's verified sources."""
    sources = expected_sources(model)
    size = weights.stat().st_size
    return Manifest(sha256=sha256_of(weights), size_bytes=size, sources=sources, convert=model.convert)


def expected_sources(model: Model) -> dict[str, str]:
    """The hashes that a manifest of this model must name, by path in the package."""
    return {file.path: file.sha256 for file in model.source.files}


def fault(model: Model, weights: Path, manifest_file: Path, *, rehash: bool) -> str | None:
    """Why the stored file must not be used, or None. Without `rehash` only its size is held against the manifest.

    Raises OSError where a file cannot be read.
    """
    try:
        manifest = msgspec.json.decode(manifest_file.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return f"{manifest_file.name} is missing"
    except msgspec.DecodeError as err:
        return f"{manifest_file.name} is not a manifest: {err}"
    return _foreign(model, manifest) or _altered(model, manifest, weights, rehash=rehash)


def _foreign(model: Model, manifest: Manifest) -> str | None:
    """Why the manifest is not of what the catalogue names today, or None."""
    if manifest.convert != model.convert:
        return f"made by {manifest.convert or 'no conversion'}, the catalogue asks for {model.convert or 'none'}"
    if manifest.sources != expected_sources(model):
        return "made from other files than the catalogue names"
    return None


def _altered(model: Model, manifest: Manifest, weights: Path, *, rehash: bool) -> str | None:
    """Why the file is not what was stored, or None."""
    # What is not converted has to be the source file itself, whatever its manifest says.
    wanted = manifest.sha256 if model.convert else model.source.files[0].sha256
    if weights.stat().st_size != manifest.size_bytes:
        return f"has {weights.stat().st_size} bytes instead of {manifest.size_bytes}"
    if rehash and (got := sha256_of(weights)) != wanted:
        return f"its sha256 is {got}, not {wanted}"
    return None


def sha256_of(file: Path) -> str:
    """The file's sha256, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
