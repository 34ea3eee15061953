"""The taxonomy: eight categories, their labels and fixed codes, read from the data file beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One label: `name` is dotted and starts with its category, `code` never changes."""

    name: str
    category: str
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """All labels by name, and the codes of the categories by name."""

    version: str
    categories: Mapping[str, int]
    labels: Mapping[str, Label]

    def expand(self, name: str) -> tuple[str, ...]:
        """The label names that `name` stands for: itself, or all of a category or group (`violence.weapon`).

        Empty where nothing in the taxonomy has that name.
        """
        if name in self.labels:
            return (name,)
        return tuple(label for label in self.labels if label.startswith(f"{name}."))


@cache
def load_taxonomy() -> Taxonomy:
    """The taxonomy that ships with the package."""
    text = resources.files("streammon").joinpath("taxonomy.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    version = raw.pop("version")
    labels = {
        f"{category}.{name}": Label(name=f"{category}.{name}", category=category, code=code)
        for category, section in raw.items()
        for name, code in section["labels"].items()
    }
    return Taxonomy(version=version, categories={c: s["code"] for c, s in raw.items()}, labels=labels)
