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

    def shape_of(self, name: str, picture_shape: Sequence[int]) -> list[int]:
        """The shape of a node's output where one picture goes in. Raises ModelCorrupt where it cannot be told."""
        picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *picture_shape])
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, "unfinished", [picture], [output], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        shape = onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output[0].type.tensor_type.shape
        if not shape.dim or not all(size.dim_value for size in shape.dim):
            raise ModelCorrupt(f"the shape of {name} depends on more than the picture's")
        return [size.dim_value for size in shape.dim]

    def serialised(self, picture_shape: Sequence[int], classes: int, metadata: Mapping[str, str]) -> bytes:
        """The model's bytes: 'input' [N, *picture_shape] to 'probs' [N, classes], float32. Raises ModelCorrupt."""
        return self.with_outputs(picture_shape, {"probs": [classes]}, metadata)

    def with_outputs(
        self, picture_shape: Sequence[int], outputs: Mapping[str, Sequence[int]], metadata: Mapping[str, str]
    ) -> bytes:
        """The same with several outputs: a node's name and the shape it has for one picture."""
        picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *picture_shape])
        made = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]) for name, shape in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, "converted", [picture], made, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        helper.set_model_props(model, dict(metadata))
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as err:
            raise ModelCorrupt(f"the converted graph is not valid ONNX: {err}") from err
        serialised: bytes = model.SerializeToString(deterministic=True)
        return serialised
