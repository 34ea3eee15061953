"""Packs: ready choices of detectors and of how they are configured, read from the data file beside this module."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from streammon.detect.config import DetectConfig
from streammon.detect.registry import models_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """`detect` is a part of the configuration's `detect`: what differs from its defaults."""

    about: str
    detectors: tuple[str, ...]
    detect: Mapping[str, Any] = field(default_factory=dict)

    def models(self) -> tuple[str, ...]:
        """The models, by their names in the catalogue, that its detectors run."""
        config = DetectConfig.model_validate(self.detect)
        return tuple(dict.fromkeys(model for name in self.detectors for model in models_of(name, config)))

    def under(self, said: Mapping[str, Any]) -> Mapping[str, Any]:
        """The configuration's `detect` where an operator says `said`: the pack's, but for what they say."""
        return _merged(self.detect, said)


@cache
def load_packs() -> Mapping[str, Pack]:
    """The packs that there are, by name."""
    text = resources.files("streammon.detect").joinpath("packs.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["packs"], dict[str, Pack])


def known_pack(name: str) -> str:
    """`name`, where a pack is called so. Raises ValueError, which lists them."""
    if name not in load_packs():
        raise ValueError(f"no such pack; there are {', '.join(load_packs())}")
    return name


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Mapping[str, Any]:
    both = {
        key: _merged(base[key], over[key])
        for key in base.keys() & over.keys()
        if isinstance(base[key], Mapping) and isinstance(over[key], Mapping)
    }
    return {**base, **over, **both}
