"""The conversion step `face-api-1`: dlib's face embedding, as npm's face-api keeps it with weights of 8 bits, to ONNX.

The network: dlib's `dnn_face_recognition_ex.cpp` and face-api's `faceRecognitionNet`: 29 convolutions, each followed by
a scale per channel, in pairs around which the input is added again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from streammon.errors import ModelCorrupt
from streammon.models.catalog import Model
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs import read_weights

_SIDE_PX = 150
_DIMENSIONS = 128
# By which channel, red, green, blue, and by which number dlib's input layer shifts and divides pixels.
_MEAN = (122.782, 117.001, 104.298)
_DIVISOR = 256.0
_BLOCKS = (
    "conv32_1", "conv32_2", "conv32_3",
    "conv64_down", "conv64_1", "conv64_2", "conv64_3",
    "conv128_down", "conv128_1", "conv128_2",
    "conv256_down", "conv256_1", "conv256_2", "conv256_down_out",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """The name of a node's output, and its height, which is its width, and channels."""

    name: str
    side: int
    channels: int


def convert(model: Model, files: Mapping[str, Path]) -> bytes:
    """The ONNX model made of the package's verified `files`, by path in the package. Raises ModelCorrupt."""
    named = {PurePosixPath(path).name: file for path, file in files.items()}
    manifests = [named.pop(name) for name in tuple(named) if name.endswith("-weights_manifest.json")]
    try:
        (manifest,) = (json.loads(file.read_text(encoding="utf-8")) for file in manifests)
        weights = read_weights(manifest, {name: file.read_bytes() for name, file in named.items()})
    except (ValueError, KeyError, TypeError) as err:
        raise ModelCorrupt(f"{model.name}: its manifest of weights cannot be read: {err}") from err
    graph = Graph(weights)
    _network(graph)
    made_from = f"{model.source.name}, {model.convert}"
    return graph.with_outputs([3, _SIDE_PX, _SIDE_PX], {"embedding": [_DIMENSIONS]}, {"made_from": made_from})


def _network(graph: Graph) -> None:
    mean = graph.constant("mean", np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
    shifted = graph.node("Sub", ["input", mean], "shifted")
    pixels = graph.node("Div", [shifted, graph.constant("divisor", np.float32(_DIVISOR))], "pixels")
    first = _convolution(graph, _Layer(name=pixels, side=_SIDE_PX, channels=3), "conv32_down", stride=2, pad=0)
    name = graph.node("MaxPool", [_relu(graph, first.name)], "pooled", kernel_shape=[3, 3], strides=[2, 2])
    layer = _Layer(name=name, side=(first.side - 3) // 2 + 1, channels=first.channels)
    for block in _BLOCKS:
        layer = _block(graph, layer, block)
    mean_of_all = graph.node("ReduceMean", [layer.name], "features", axes=[2, 3], keepdims=0)
    graph.node("MatMul", [mean_of_all, graph.constant("fc", graph.weight("fc"))], "embedding")


def _block(graph: Graph, source: _Layer, name: str) -> _Layer:
    """Two convolutions, and the block's input added; `down` halves the size, and fills up with zeros what is short."""
    halves = "_down" in name
    inner = _convolution(graph, source, f"{name}/conv1", stride=2 if halves else 1, pad=0 if halves else 1)
    inner = _Layer(name=_relu(graph, inner.name), side=inner.side, channels=inner.channels)
    out = _convolution(graph, inner, f"{name}/conv2", stride=1, pad=1)
    side, channels = max(out.side, source.side // 2 if halves else source.side), out.channels
    if halves:
        pooled = graph.node("AveragePool", [source.name], f"{name}/pooled", kernel_shape=[2, 2], strides=[2, 2])
        source = _Layer(name=pooled, side=source.side // 2, channels=source.channels)
    added = [_filled(graph, layer, side, channels) for layer in (source, out)]
    return _Layer(name=_relu(graph, graph.node("Add", added, f"{name}/sum")), side=side, channels=channels)


def _convolution(graph: Graph, source: _Layer, name: str, *, stride: int, pad: int) -> _Layer:
    """A convolution with its scale and shift folded into its weights."""
    kernel = np.asarray(graph.weight(f"{name}/conv/filters"))
    scale, shift = graph.weight(f"{name}/scale/weights"), graph.weight(f"{name}/scale/biases")
    side, _, channels_in, channels = kernel.shape
    if channels_in != source.channels:
        raise ModelCorrupt(f"the weight {name}/conv/filters has {channels_in} channels, expected {source.channels}")
    inputs = [
        source.name,
        graph.constant(f"{name}/kernel", kernel.transpose(3, 2, 0, 1) * scale.reshape(-1, 1, 1, 1)),
        graph.constant(f"{name}/bias", graph.weight(f"{name}/conv/bias") * scale + shift),
    ]
    made = graph.node("Conv", inputs, name, kernel_shape=[side, side], strides=[stride] * 2, pads=[pad] * 4)
    return _Layer(name=made, side=(source.side + 2 * pad - side) // stride + 1, channels=channels)


def _filled(graph: Graph, layer: _Layer, side: int, channels: int) -> str:
    """The layer with zeros below, on the right and behind, so that it has this size."""
    if (layer.side, layer.channels) == (side, channels):
        return layer.name
    more = np.array([0] * 5 + [channels - layer.channels] + [side - layer.side] * 2, np.int64)
    return graph.node("Pad", [layer.name, graph.constant(f"{layer.name}/more", more)], f"{layer.name}/filled")


def _relu(graph: Graph, source: str) -> str:
    return graph.node("Relu", [source], f"{source}/relu")
