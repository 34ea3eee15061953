"""Collects an ONNX graph node by node, for the converters. Only modules of this folder import onnx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from streammon.errors import ModelCorrupt
from streammon.models.tfjs import Weights

# Old enough for every ONNX Runtime we support, new enough for all that the converters emit.
_OPSET = 13
_IR_VERSION = 8


class Graph:
    """Nodes and constants under names that the caller gives, so the same model always gives the same bytes."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def weight(self, name: str) -> Any:
        """The source model's weight of that name, as an array. Raises ModelCorrupt where it has none."""
        if name not in self._weights:
            raise ModelCorrupt(f"the weight {name} is missing")
        return self._weights[name]

    def constant(self, name: str, values: ArrayLike) -> str:
        """Add a constant, and return its name."""
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output, which has the node's name, and return that."""
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def serialised(self, picture_shape: Sequence[int], classes: int, metadata: Mapping[str, str]) -> bytes:
        """The model's bytes: 'input' [N, *picture_shape] to 'probs' [N, classes], float32. Raises ModelCorrupt."""
        picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *picture_shape])
        probs = helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["N", classes])
        graph = helper.make_graph(self._nodes, "converted", [picture], [probs], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        helper.set_model_props(model, dict(metadata))
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as err:
            raise ModelCorrupt(f"the converted graph is not valid ONNX: {err}") from err
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised
