"""Turns a Keras layers model, as TensorFlow.js keeps it, into an ONNX graph. Pictures go in NHWC and are NCHW inside.

Knows the layers of InceptionV3 and MobileNetV2. A layer's formula is Keras's: https://keras.io/api/layers/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from streammon.errors import ModelCorrupt
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs import Weights

_PADDING = {"same": "SAME_UPPER", "valid": "VALID"}
Config = Mapping[str, Any]
Build = Callable[[Graph, str, Config, Sequence[str]], str]
"""Adds a layer, by its name, configuration and inputs, and returns its output's name."""


def to_onnx(topology: Config, weights: Weights, *, labels: Sequence[str], made_from: str) -> bytes:
    """The serialised ONNX model: 'input' [N, H, W, 3] float32, 'probs' [N, labels]; labels in the metadata.

    `topology` is the model's `model_config.config`. Raises ModelCorrupt for a layer or activation it does not know.
    """
    graph = Graph(weights)
    outputs: dict[str, str] = {}
    size: list[int] = []
    for layer in topology["layers"]:
        name, config = layer["name"], layer["config"]
        if layer["class_name"] == "InputLayer":
            size = config["batch_input_shape"][1:]
            outputs[name] = graph.node("Transpose", ["input"], f"{name}/nchw", perm=[0, 3, 1, 2])
            continue
        inputs = [outputs[source[0]] for source in layer["inbound_nodes"][0]]
        outputs[name] = _layer(layer["class_name"], name)(graph, name, config, inputs)
    graph.node("Identity", [outputs[topology["output_layers"][0][0]]], "probs")
    return graph.serialised(size, len(labels), {"labels": ",".join(labels), "made_from": made_from})


def _layer(kind: str, name: str) -> Build:
    try:
        return _LAYERS[kind]
    except KeyError:
        raise ModelCorrupt(f"layer {name} is a {kind}, which the converter does not know") from None


def _activated(graph: Graph, name: str, kind: str, source: str) -> str:
    if kind == "linear":
        return source
    if kind == "relu":
        return graph.node("Relu", [source], f"{name}/relu")
    if kind == "softmax":
        return graph.node("Softmax", [source], f"{name}/softmax", axis=-1)
    raise ModelCorrupt(f"layer {name} has the activation {kind!r}, which the converter does not know")


def _conv(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    # Keras keeps kernels as height, width, in, out; ONNX wants out, in, height, width.
    kernel = np.transpose(graph.weight(f"{name}/kernel"), (3, 2, 0, 1))
    return _convolved(graph, name, config, [inputs[0], graph.constant(f"{name}/kernel", kernel)], groups=1)


def _depthwise_conv(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    kernel = np.transpose(graph.weight(f"{name}/depthwise_kernel"), (2, 3, 0, 1))
    if kernel.shape[1] != 1:
        raise ModelCorrupt(f"layer {name} has a depth multiplier of {kernel.shape[1]}, the converter knows 1")
    sources = [inputs[0], graph.constant(f"{name}/kernel", kernel)]
    return _convolved(graph, name, config, sources, groups=kernel.shape[0])


def _convolved(graph: Graph, name: str, config: Config, sources: Sequence[str], *, groups: int) -> str:
    if config["use_bias"]:
        sources = [*sources, graph.constant(f"{name}/bias", graph.weight(f"{name}/bias"))]
    node = graph.node("Conv", sources, name, strides=config["strides"], dilations=config["dilation_rate"],
                      group=groups, auto_pad=_PADDING[config["padding"]])  # fmt: skip
    return _activated(graph, name, config["activation"], node)


def _batch_norm(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    mean = graph.weight(f"{name}/moving_mean")
    parts = {
        "gamma": graph.weight(f"{name}/gamma") if config["scale"] else np.ones_like(mean),
        "beta": graph.weight(f"{name}/beta") if config["center"] else np.zeros_like(mean),
        "mean": mean,
        "variance": graph.weight(f"{name}/moving_variance"),
    }
    constants = [graph.constant(f"{name}/{part}", values) for part, values in parts.items()]
    return graph.node("BatchNormalization", [inputs[0], *constants], name, epsilon=config["epsilon"])


def _pool(kind: str) -> Build:
    def build(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
        return graph.node(kind, inputs, name, kernel_shape=config["pool_size"], strides=config["strides"],
                          auto_pad=_PADDING[config["padding"]])  # fmt: skip

    return build


def _zero_padding(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    (top, bottom), (left, right) = config["padding"]
    pads = graph.constant(f"{name}/pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    return graph.node("Pad", [inputs[0], pads], name)


def _relu(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    if config.get("negative_slope") or config.get("threshold"):
        raise ModelCorrupt(f"layer {name} is a leaky or shifted ReLU, which the converter does not know")
    if config.get("max_value") is None:
        return graph.node("Relu", inputs, name)
    low = graph.constant(f"{name}/low", np.float32(0))
    high = graph.constant(f"{name}/high", np.float32(config["max_value"]))
    return graph.node("Clip", [inputs[0], low, high], name)


def _activation(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    return _activated(graph, name, config["activation"], inputs[0])


def _add(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:  # noqa: ARG001
    return graph.node("Sum", inputs, name)


def _concatenate(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    if config["axis"] not in (3, -1):
        raise ModelCorrupt(f"layer {name} joins along axis {config['axis']}, the converter knows the channels only")
    return graph.node("Concat", inputs, name, axis=1)


def _flatten(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:  # noqa: ARG001
    # Keras flattens with the channels last, and the layer behind has its weights in that order.
    nhwc = graph.node("Transpose", inputs, f"{name}/nhwc", perm=[0, 2, 3, 1])
    return graph.node("Flatten", [nhwc], name)


def _dense(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:
    sources = [inputs[0], graph.constant(f"{name}/kernel", graph.weight(f"{name}/kernel"))]
    if config["use_bias"]:
        sources.append(graph.constant(f"{name}/bias", graph.weight(f"{name}/bias")))
    return _activated(graph, name, config["activation"], graph.node("Gemm", sources, name))


def _dropout(graph: Graph, name: str, config: Config, inputs: Sequence[str]) -> str:  # noqa: ARG001
    return inputs[0]


_LAYERS: Mapping[str, Build] = {
    "Activation": _activation,
    "Add": _add,
    "AveragePooling2D": _pool("AveragePool"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _concatenate,
    "Conv2D": _conv,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_conv,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "MaxPooling2D": _pool("MaxPool"),
    "ReLU": _relu,
    "ZeroPadding2D": _zero_padding,
}
