"""The conversion step `efficientnet-lite-1`: EfficientNet-Lite0 as PyTorch weights to ONNX.

The net is that of PyPI efficientnet-lite-pytorch 0.1.0 (`model.py`), which the weights were made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from streammon.errors import ModelCorrupt
from streammon.models.catalog import Model
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs import Weights
from streammon.models.torch_weights import read_torch_weights

# How often each stage repeats its block, and the stride of the first.
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
_EPSILON = 1e-3


def convert(model: Model, files: Mapping[str, Path]) -> bytes:
    """The ONNX model: 'input' [N, 3, H, W] to 'probabilities' [N, 1000] and 'embedding' [N, 1280].

    The embedding is what the classifier is fed: the mean over the picture of the last features. Raises ModelCorrupt.
    """
    (file,) = files.values()
    net = _Net(read_torch_weights(file))
    embedding = net.graph.node(
        "Flatten", [net.graph.node("GlobalAveragePool", [net.features()], "pooled")], "embedding"
    )
    logits = net.graph.node("Gemm", [embedding, net.weight("_fc.weight"), net.weight("_fc.bias")], "logits", transB=1)
    net.graph.node("Softmax", [logits], "probabilities", axis=-1)
    net.check_all_used()
    made_from = f"{model.source.name}, {model.convert}"
    shape = (3, model.picture.height, model.picture.width)
    return net.graph.with_outputs(shape, {"probabilities": [1000], "embedding": [1280]}, {"made_from": made_from})


class _Net:
    """The graph as it grows, and which of the weights are in it."""

    def __init__(self, weights: Weights) -> None:
        self.graph = Graph(weights)
        self._names = weights.keys()
        self._used: set[str] = set()

    def weight(self, name: str) -> str:
        self._used.add(name)
        return self.graph.constant(name, self.graph.weight(name))

    def check_all_used(self) -> None:
        """Raises ModelCorrupt where a weight is left over: the net would not be the one it was made for."""
        left = sorted(name for name in self._names - self._used if not name.endswith("num_batches_tracked"))
        if left:
            raise ModelCorrupt(f"the weight {left[0]} belongs to no layer of EfficientNet-Lite0")

    def features(self) -> str:
        self.graph.constant("zero", np.float32(0))
        self.graph.constant("six", np.float32(6))
        out = self._clipped("input", "_conv_stem", "_bn0", stride=2)
        number = 0
        for repeats, stride in _STAGES:
            for repeat in range(repeats):
                out = self._block(out, f"_blocks.{number}", stride=1 if repeat else stride, residual=repeat > 0)
                number += 1
        return self._clipped(out, "_conv_head", "_bn1")

    def _block(self, source: str, name: str, *, stride: int, residual: bool) -> str:
        """Expand, convolve each channel by itself, project. The first block has nothing to expand."""
        out = source
        if f"{name}._expand_conv.weight" in self._names:
            out = self._clipped(out, f"{name}._expand_conv", f"{name}._bn0")
        out = self._clipped(out, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        out = self._normalised(out, f"{name}._project_conv", f"{name}._bn2")
        return self.graph.node("Add", [out, source], f"{name}/sum") if residual else out

    def _clipped(self, source: str, conv: str, norm: str, *, stride: int = 1) -> str:
        return self.graph.node("Clip", [self._normalised(source, conv, norm, stride), "zero", "six"], f"{norm}/clip")

    def _normalised(self, source: str, conv: str, norm: str, stride: int = 1) -> str:
        # A kernel is out, in / groups, height, width: depthwise ones have one channel in.
        shape = self.graph.weight(f"{conv}.weight").shape
        groups = shape[0] if conv.endswith("_depthwise_conv") else 1
        out = self.graph.node("Conv", [source, self.weight(f"{conv}.weight")], conv, strides=[stride, stride],
                              group=groups, auto_pad="SAME_UPPER", kernel_shape=shape[2:])  # fmt: skip
        parts = [self.weight(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.graph.node("BatchNormalization", [out, *parts], norm, epsilon=_EPSILON)
