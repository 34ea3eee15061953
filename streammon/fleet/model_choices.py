"""Which files detectors run in place of those of configuration and catalogue: kept in `STATE/models.json`.

Read at the start, written at each switch and rollback; `streammon models rollback --offline` edits it while nothing
runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from streammon.deliver.disk import sync_folder
from streammon.detect.config import DetectConfig
from streammon.detect.registry import models_of
from streammon.errors import ModelCorrupt, ModelError, ModelMissing
from streammon.models.manifest import sha256_of
from streammon.models.staging import put

_NAME = "models.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenFile:
    """A file in the folder of the models, and what it was when it was chosen."""

    file: str
    sha256: str


Chosen = Mapping[str, ChosenFile]
"""A detector's choice, by its models. What is not named runs as configured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    version: Literal[1] = 1
    detectors: Mapping[str, Chosen] = msgspec.field(default_factory=dict)


class ModelChoices:
    """The choices of one monitor. `models` is the folder that all of their files lie in."""

    def __init__(self, state: Path, models: Path) -> None:
        self.path = state / _NAME
        self._models = models

    def read(self) -> dict[str, Chosen]:
        """By detector. Raises ModelError where the file is not what was written."""
        try:
            return dict(msgspec.json.decode(self.path.read_bytes(), type=_Kept).detectors)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            cure = "correct it, or remove it, and all detectors run as configured"
            raise ModelError(f"{self.path} cannot be read: {error}; {cure}") from error

    def write(self, detector: str, chosen: Chosen) -> None:
        """The detector's choice from now on; none if empty. On the disk when this returns, or raises ModelError."""
        kept = {**self.read(), detector: chosen}
        whole = _Kept(detectors={name: files for name, files in kept.items() if files})
        partial = self.path.with_name(f".{_NAME}.partial")
        try:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
            put(partial, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise ModelError(f"{self.path} cannot be written: {error.strerror}; nothing was changed") from error

    def files(self, detectors: Iterable[str], config: DetectConfig) -> dict[str, dict[str, Path]]:
        """What is to stand in for the files of these detectors' models, each the file that was chosen.

        Raises ModelMissing, ModelCorrupt or ModelError with the cure where one is not.
        """
        kept = self.read()
        return {name: self._verified(name, kept[name], config) for name in detectors if name in kept}

    def place(self, name: str) -> Path:
        """A file of the models' folder by its name there.

        Raises ModelError where the name leads anywhere else, ModelMissing where there is no such file.
        """
        root = self._models.resolve()
        place = (root / name).resolve() if "\0" not in name else root
        if Path(name).is_absolute() or not place.is_relative_to(root) or place == root:
            raise ModelError(f"{name!r} should be the name of a file in {self._models}, relative to that folder")
        if not place.is_file():
            raise ModelMissing(f"{name!r} is not in {self._models}; put the file there first")
        return place

    def _verified(self, detector: str, chosen: Chosen, config: DetectConfig) -> dict[str, Path]:
        cure = f"put the file back, or run `streammon models rollback {detector} --offline {self.path.parent}`"
        files = {}
        for model, choice in chosen.items():
            what = f"{self.path}: detector {detector} runs {choice.file} for {model}"
            if model not in models_of(detector, config):
                raise ModelError(f"{what}, which it does not have any more: {cure}")
            try:
                files[model] = self.place(choice.file)
                found = sha256_of(files[model])
            except ModelError as error:
                raise ModelMissing(f"{what}: {error}; {cure}") from error
            except OSError as error:
                raise ModelMissing(f"{what}: it cannot be read: {error.strerror}; {cure}") from error
            if found != choice.sha256:
                raise ModelCorrupt(f"{what}: it has the sha256 {found}, not {choice.sha256}: {cure}")
        return files
