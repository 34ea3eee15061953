"""Turns a TensorFlow.js graph model into nodes of an ONNX graph. Knows the operations of NanoDet.

An operation's formula is TensorFlow's: https://www.tensorflow.org/api_docs/python/tf/raw_ops.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from streammon.errors import ModelCorrupt
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs_values import Value, Values, View

Node = Mapping[str, Any]
Attributes = Mapping[str, Any]
Operation = Callable[[Values, str, Attributes, Sequence[str]], Sequence[Value]]
"""Adds an operation, by its name, attributes and inputs, and returns its outputs."""

_TO_NCHW, _TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def add_graph_model(graph: Graph, nodes: Sequence[Node], picture: str, picture_shape: Sequence[int]) -> Values:
    """Add the model's operations. `picture` is the graph's tensor that its only placeholder stands for, N x the shape.

    Raises ModelCorrupt for an operation that it does not know, or one that is used in a way that it does not know.
    """
    values = Values(graph, picture_shape)
    for node in nodes:
        name, kind = node["name"], node["op"]
        if kind == "Placeholder":
            values.put(name, [View(picture)])
        elif kind == "Const":
            values.put(name, [graph.weight(name)])
        elif kind in _OPERATIONS:
            values.put(name, _OPERATIONS[kind](values, name, node.get("attr", {}), node.get("input", ())))
        else:
            raise ModelCorrupt(f"node {name} is a {kind}, which the converter does not know")
    return values


def _ints(attributes: Attributes, key: str) -> list[int]:
    return [int(number) for number in attributes[key]["list"]["i"]]


def _same_or_valid(attributes: Attributes, name: str) -> str:
    kind = base64.b64decode(attributes["padding"]["s"]).decode("ascii", "replace")
    if kind not in ("SAME", "VALID"):
        raise ModelCorrupt(f"node {name} has the padding {kind!r}, which the converter does not know")
    return "SAME_UPPER" if kind == "SAME" else kind


def _of_picture(values: Values, name: str, kind: str, sources: Sequence[str], **attributes: Any) -> list[Value]:
    """An operation of ONNX on the first of `sources`, which has its channels last; the others are the graph's."""
    picture = values.tensor(values.view(sources[0]).transposed(_TO_NCHW))
    made = values.graph.node(kind, [picture, *sources[1:]], f"{name}/nchw", **attributes)
    return [View(made).transposed(_TO_NHWC)]


def _conv(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:
    # TensorFlow keeps kernels as height, width, in, out; ONNX wants out, in, height, width.
    kernel = values.graph.constant(f"{name}/kernel", np.transpose(values.array(inputs[1]), (3, 2, 0, 1)))
    settings = {"strides": _ints(attributes, "strides")[1:3], "dilations": _ints(attributes, "dilations")[1:3]}
    auto_pad = _same_or_valid(attributes, name)
    return _of_picture(values, name, "Conv", [inputs[0], kernel], **settings, auto_pad=auto_pad)


def _max_pool(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:
    settings = {"kernel_shape": _ints(attributes, "ksize")[1:3], "strides": _ints(attributes, "strides")[1:3]}
    return _of_picture(values, name, "MaxPool", inputs, **settings, auto_pad=_same_or_valid(attributes, name))


def _resize(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:
    if not attributes["half_pixel_centers"]["b"]:
        raise ModelCorrupt(f"node {name} resizes without half_pixel_centers, which the converter does not know")
    picture = values.tensor(values.view(inputs[0]).transposed(_TO_NCHW))
    # By factors, as a size would have to name how many pictures there are.
    factors = values.array(inputs[1]) / values.graph.shape_of(picture, values.picture_shape)[2:]
    scales = values.graph.constant(f"{name}/scales", np.array([1, 1, *factors], np.float32))
    made = values.graph.node("Resize", [picture, "", scales], f"{name}/nchw", mode="linear",
                             coordinate_transformation_mode="half_pixel")  # fmt: skip
    return [View(made).transposed(_TO_NHWC)]


def _transpose(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    return [values.view(inputs[0]).transposed(values.array(inputs[1]).tolist())]


def _identity(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    return [values.get(inputs[0])]


def _add(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    first, second = (values.get(source) for source in inputs)
    if not isinstance(first, View):
        return [first + values.array(inputs[1])]
    if isinstance(second, View) and second.order == first.order:
        return [View(values.graph.node("Add", [first.name, second.name], name), first.order)]
    if isinstance(second, View):
        return [View(values.graph.node("Add", [values.tensor(first), values.tensor(second)], name))]
    return [View(values.graph.node("Add", [first.name, values.alongside(inputs[1], first)], name), first.order)]


def _leaky_relu(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:
    source = values.view(inputs[0])
    alpha = attributes["alpha"]["f"]
    return [View(values.graph.node("LeakyRelu", [source.name], name, alpha=alpha), source.order)]


def _sigmoid(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    source = values.view(inputs[0])
    return [View(values.graph.node("Sigmoid", [source.name], name), source.order)]


def _pad(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    pads = values.graph.constant(f"{name}/pads", values.array(inputs[1]).T.reshape(-1).astype(np.int64))
    filling = [values.graph.constant(f"{name}/value", values.array(source)) for source in inputs[2:]]
    return [View(values.graph.node("Pad", [values.tensor(inputs[0]), pads, *filling], name))]


def _concat(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    *sources, axis = inputs
    tensors = [values.tensor(source) for source in sources]
    return [View(values.graph.node("Concat", tensors, name, axis=int(values.array(axis))))]


def _split(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    source, axis = values.tensor(inputs[0]), int(values.array(inputs[2]))
    ends = np.cumsum(values.array(inputs[1]).astype(np.int64))
    parts: list[Value] = []
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        bounds = {"start": [start], "end": [end], "axis": [axis]}
        limits = [
            values.graph.constant(f"{name}/{number}/{what}", np.array(at, np.int64)) for what, at in bounds.items()
        ]
        parts.append(View(values.graph.node("Slice", [source, *limits], f"{name}/{number}")))
    return parts


def _reshape(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    shape = values.array(inputs[1]).astype(np.int64)
    if shape[0] != 1:
        raise ModelCorrupt(f"node {name} reshapes across pictures, which the converter does not know")
    # The model was made for one picture; 0 takes as many as come.
    wanted = values.graph.constant(f"{name}/shape", np.array([0, *shape[1:]], np.int64))
    return [View(values.graph.node("Reshape", [values.tensor(inputs[0]), wanted], name))]


def _sparse_to_dense(values: Values, name: str, attributes: Attributes, inputs: Sequence[str]) -> list[Value]:  # noqa: ARG001
    indices, shape, given, default = (values.array(source) for source in inputs)
    dense = np.full(shape, default)
    dense[tuple(indices.T)] = given
    return [dense]


_OPERATIONS: Mapping[str, Operation] = {
    "Add": _add,
    "AddV2": _add,
    "ConcatV2": _concat,
    "Conv2D": _conv,
    "Identity": _identity,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "PadV2": _pad,
    "Reshape": _reshape,
    "ResizeBilinear": _resize,
    "Sigmoid": _sigmoid,
    "SparseToDense": _sparse_to_dense,
    "SplitV": _split,
    "Transpose": _transpose,
}
