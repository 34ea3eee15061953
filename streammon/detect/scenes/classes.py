"""The classes of the classifier that mean a label, read from the data file beside this module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec
from msgspec import Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Classes that mean one label: by number their names. See the file for `review_from` and `most`, both 0..1."""

    label: str
    classes: Annotated[Mapping[int, str], Meta(min_length=1)]
    review_from: Annotated[float, Meta(gt=0, lt=1)]
    most: Annotated[float, Meta(ge=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    version: int
    groups: tuple[Group, ...]


@cache
def load_groups() -> tuple[Group, ...]:
    """The groups that ship with the package."""
    text = resources.files("streammon.detect.scenes").joinpath("classes.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=_Groups, strict=False).groups
