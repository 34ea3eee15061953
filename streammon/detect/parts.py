"""What detectors are built from: where weights are, how they are configured, what opens them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streammon.detect.config import DetectConfig
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What detectors are built from.

    `weights` gives the file of a model by its name in the catalogue and raises ModelMissing; `label_maps` holds, per
    model, the taxonomy's label of each of its classes that has one, `classes` what all of them are called, in order.
    `runtime` opens the models and shares the machine among them; closing it is its owner's. `files` stand in for those
    of the models (an operator's own is called by its detector's name), and run where these would.
    """

    weights: Callable[[str], Path]
    label_maps: Mapping[str, Mapping[str, str]]
    config: DetectConfig
    runtime: Runtime
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def open(self, model: str) -> Session:
        """The session of a model. Raises what `weights` and `Runtime.open` raise."""
        chosen = self.files.get(model)
        return self.runtime.open(self.weights(model)) if chosen is None else self.runtime.open(chosen, model)
