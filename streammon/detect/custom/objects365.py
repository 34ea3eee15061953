"""Guns, knives, cigarettes and other things of Objects365: D-FINE-S, run as an operator's own transformer would be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streammon.detect.custom.build import build_custom
from streammon.detect.custom.config import CustomDetr, CustomInput, Objects365Config
from streammon.detect.custom.detector import CustomDetector
from streammon.detect.runtime.session import Session
from streammon.errors import ModelError

_NAME = "objects365"
_SIDE_PX = 640


def build_objects365(
    file: Path,
    classes: Sequence[str],
    label_map: Mapping[str, str],
    config: Objects365Config,
    open_file: Callable[[Path], Session],
) -> CustomDetector:
    """`classes` are the model's, in order; `label_map` says what they raise where `config.map` does not.

    Raises what `build_custom` raises; ModelError where `config` names a class that the model does not have.
    """
    chosen = config.map if config.map is not None else label_map
    if unknown := sorted({*chosen, *config.thresholds} - {*classes}):
        raise ModelError(f"detect.{_NAME}: there is no class {', '.join(unknown)}; the model's card lists them")
    own = CustomDetr(
        kind="detr",
        file=file,
        labels=tuple(classes),
        map=dict(chosen),
        min_score=config.min_score,
        thresholds=config.thresholds,
        max_boxes=config.max_boxes,
        # The picture as a whole, as it was trained; sigmoid, every class for itself, and no class for nothing.
        input=CustomInput(size=(_SIDE_PX, _SIDE_PX), layout="nchw", resize="stretch", interpolation="area"),
        activation="sigmoid",
        max_batch=1,
    )
    return build_custom(_NAME, own, open_file, f"detect.{_NAME}")
