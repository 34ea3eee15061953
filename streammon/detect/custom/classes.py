"""A custom model's classes: what they are called, which label each raises, and from which score on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streammon.detect.custom.config import CustomModel
from streammon.detect.custom.graph import nearest, python_literal
from streammon.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """`labels` is by class number; `floor` is the least score of each class, infinite for one that raises nothing."""

    names: tuple[str, ...]
    labels: Mapping[int, str]
    floor: NDArray[np.float32]

    @property
    def least(self) -> float:
        """No score below this is ever reported."""
        return float(self.floor.min())


def read_classes(config: CustomModel, metadata: Mapping[str, str], where: str) -> Classes:
    """Raises ModelError where no names are to be had, or `map` or `thresholds` names a class that is none of them."""
    names = _names(config, metadata, where)
    for key, section in (("map", config.map), ("thresholds", config.thresholds)):
        for name in section:
            if name not in names:
                meant = f" for {config.map[name]}" if key == "map" else ""
                raise ModelError(
                    f"{where}.{key}.{name}: the model has no class {name!r}{meant}; {nearest(name, names)}"
                )
    if idle := next((name for name in config.thresholds if name not in config.map), None):
        raise ModelError(f"{where}.thresholds.{idle}: stands for nothing, since `map` gives {idle!r} no label")
    floor = np.full(len(names), np.inf, np.float32)
    for name in config.map:
        floor[names.index(name)] = config.thresholds.get(name, config.min_score)
    labels = {names.index(name): label for name, label in config.map.items()}
    return Classes(names=names, labels=labels, floor=floor)


def _names(config: CustomModel, metadata: Mapping[str, str], where: str) -> tuple[str, ...]:
    if config.labels is not None:
        return config.labels
    if config.labels_file is not None:
        return _of_file(config.labels_file, f"{where}.labels_file")
    if "names" in metadata:
        return _of_ultralytics(metadata["names"], where)
    if metadata.get("labels"):
        return _distinct(tuple(metadata["labels"].split(",")), f"{where}.file: its metadata `labels`")
    raise ModelError(f"{where}.labels: is required, because the file does not name its classes")


def _of_file(path: Path, place: str) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ModelError(f"{place}: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{place}: {path} is not UTF-8 text") from error
    while lines and not lines[-1].strip():
        lines.pop()
    names = tuple(line.strip() for line in lines)
    if "" in names:
        raise ModelError(f"{place}: line {names.index('') + 1} of {path} is empty, and each line is a class")
    if not names:
        raise ModelError(f"{place}: {path} is empty, and each line is a class")
    return _distinct(names, f"{place}: {path}")


def _of_ultralytics(text: str, where: str) -> tuple[str, ...]:
    """Names from `{0: 'person', 1: 'bicycle'}`, or a list, as exporters write them with `str()`."""
    noted = python_literal(text)
    if isinstance(noted, dict) and noted.keys() == set(range(len(noted))):
        noted = [noted[number] for number in range(len(noted))]
    if not isinstance(noted, list) or not noted or not all(isinstance(name, str) for name in noted):
        raise ModelError(f"{where}.labels: is required, because the file's metadata `names` is not {{0: 'a', 1: 'b'}}")
    return _distinct(tuple(noted), f"{where}.file: its metadata `names`")


def _distinct(names: tuple[str, ...], place: str) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"{place} has the class {twice!r} twice")
    return names
