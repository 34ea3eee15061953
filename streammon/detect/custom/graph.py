"""What an ONNX file says of itself: its input, its outputs, its metadata. Reads the file, runs nothing."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from streammon.errors import ModelCorrupt, ModelError

_INPUT_TYPES: Mapping[int, np.dtype[Any]] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.FLOAT16: np.dtype(np.float16),
    onnx.TensorProto.UINT8: np.dtype(np.uint8),
}
# These hand on what they are given, so what stands before them is what the output is.
_TRANSPARENT = frozenset({"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """An ONNX graph with one input. In `shape`, None is a size that is free.

    `last_op` is the operator that computes the first output, such as Softmax; empty where it is not known.
    """

    input_name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    outputs: tuple[str, ...]
    last_op: str
    metadata: Mapping[str, str]


def read_graph(path: Path) -> Graph:
    """Raises ModelCorrupt where it is no ONNX file, ModelError where it does not take one tensor of pixels."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError) as error:
        raise ModelCorrupt(f"{path} cannot be read as an ONNX file: {error}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(given.name for given in inputs)
        raise ModelError(f"the graph has {len(inputs)} inputs ({names}); export it with the picture as its only one")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in _INPUT_TYPES:
        known = ", ".join(str(dtype) for dtype in _INPUT_TYPES.values())
        raise ModelError(f"the graph's input is {_type_name(tensor.elem_type)}; export it with one of {known}")
    return Graph(
        input_name=inputs[0].name,
        dtype=_INPUT_TYPES[tensor.elem_type],
        shape=tuple(size.dim_value or None for size in tensor.shape.dim),
        outputs=tuple(given.name for given in model.graph.output),
        last_op=_last_op(model.graph),
        metadata={entry.key: entry.value for entry in model.metadata_props},
    )


def python_literal(text: str) -> object:
    """What exporters write into metadata with `str()`, read without running it; None where it is something else."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause for a message on an unknown name: the known one that looks most like it, else some of them."""
    names = list(known)
    if near := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f"the nearest is {near[0]!r}"
    shown = ", ".join(names[:20])
    return f"there are {shown}{', …' if len(names) > 20 else ''}"


def _last_op(graph: onnx.GraphProto) -> str:
    makers = {made: node for node in graph.node for made in node.output}
    node = makers.get(graph.output[0].name)
    while node is not None and node.op_type in _TRANSPARENT:
        node = makers.get(node.input[0])
    return node.op_type if node is not None else ""


def _type_name(element: int) -> str:
    return onnx.TensorProto.DataType.Name(element).lower() if element else "no tensor"
