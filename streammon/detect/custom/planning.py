"""Settles a custom model's input from its configuration and its graph, and says where the two do not agree."""

from __future__ import annotations

import numpy as np

from streammon.detect.custom.config import CustomInput
from streammon.detect.custom.graph import Graph, python_literal
from streammon.detect.custom.picture import INTERPOLATIONS, InputPlan, Resize
from streammon.errors import ModelError

# A classifier is shown the whole picture unless told otherwise: what a crop cuts off would never be looked at.
_RESIZE: dict[str, Resize] = {"yolo": "letterbox", "classifier": "stretch", "detr": "stretch"}
_PIXEL_KEYS = ("scale", "mean", "std")


def plan_input(config: CustomInput, graph: Graph, kind: str, where: str) -> InputPlan:
    """Raises ModelError, which names the key below `where` that must change."""
    if len(graph.shape) != 4:
        raise ModelError(f"{where}.file: its input has {len(graph.shape)} dimensions, and a batch of pictures has 4")
    nchw = _layout(config, graph, where) == "nchw"
    height, width = _size(config, graph, graph.shape[2:4] if nchw else graph.shape[1:3], where)
    if graph.dtype == np.uint8 and (named := [key for key in _PIXEL_KEYS if key in config.model_fields_set]):
        raise ModelError(f"{where}.input.{named[0]}: the graph takes uint8, so pixels as they are; leave it out")
    default = "linear" if kind == "yolo" else "area"
    return InputPlan(
        height=height,
        width=width,
        nchw=nchw,
        bgr=config.colour == "bgr",
        dtype=graph.dtype,
        resize=config.resize or _RESIZE[kind],
        interpolation=INTERPOLATIONS[config.interpolation or default],
        pad=config.pad,
        gain=_three([config.scale / std for std in config.std]),
        offset=_three([-mean / std for mean, std in zip(config.mean, config.std, strict=True)]),
    )


def _three(values: list[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third


def _layout(config: CustomInput, graph: Graph, where: str) -> str:
    # Only a size that is known and is not 3 speaks against a layout.
    fits = [name for name, axis in (("nchw", 1), ("nhwc", 3)) if graph.shape[axis] in {3, None}]
    if config.layout is not None:
        if config.layout not in fits:
            raise ModelError(f"{where}.input.layout: is {config.layout}, but the input is {shape_text(graph.shape)}")
        return config.layout
    sure = [name for name, axis in (("nchw", 1), ("nhwc", 3)) if graph.shape[axis] == 3]
    if not fits:
        raise ModelError(f"{where}.file: its input, {shape_text(graph.shape)}, has no axis of three colours")
    if len(sure) == 1:
        return sure[0]
    raise ModelError(f"{where}.input.layout: set nchw or nhwc: the input, {shape_text(graph.shape)}, does not say")


def _size(config: CustomInput, graph: Graph, axes: tuple[int | None, ...], where: str) -> tuple[int, int]:
    asked = config.size or _exported_size(graph) or (None, None)
    height, width = (fixed if fixed is not None else free for fixed, free in zip(axes, asked, strict=True))
    if height is None or width is None:
        raise ModelError(f"{where}.input.size: is required, because the graph takes any size")
    if config.size is not None and config.size != (height, width):
        raise ModelError(
            f"{where}.input.size: is {config.size[0]} x {config.size[1]}, but the graph takes {height} x {width} only"
        )
    return height, width


def _exported_size(graph: Graph) -> tuple[int, int] | None:
    """The size that Ultralytics notes as it exports: `[height, width]`."""
    noted = python_literal(graph.metadata.get("imgsz", ""))
    match noted:
        case [int(height), int(width)] if height > 0 and width > 0:
            return height, width
    return None


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Such as `? x 3 x 640 x 640`."""
    return " x ".join("?" if size is None else str(size) for size in shape)
