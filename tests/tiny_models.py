"""Small real classifiers in ONNX: what they say of a picture follows from its mean colour alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

SIDE = 16
# A row per channel, a column per class (calm, fire): the share of fire is how much more red there is than the rest.
SEES_RED = ((0.0, 1.0), (0.0, -0.5), (0.0, -0.5))
SEES_GREEN = ((0.0, -0.5), (0.0, 1.0), (0.0, -0.5))
SEES_NOTHING = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
LABEL = "violence.fire"


def classifier(
    path: Path, weights: tuple[tuple[float, ...], ...], inputs: tuple[str, ...] = ("x",), most: float = 1.0
) -> Path:
    """N x 3 x 16 x 16 to N x classes, from 0 to `most`, which is no probability where it is above 1.

    With more than one input it is none that a detector can run.
    """
    constants: dict[str, NDArray[Any]] = {
        "sides": np.array([2, 3], np.int64), "weights": np.array(weights, np.float32),
        "least": np.array(0, np.float32), "most": np.array(most, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", [inputs[0], "sides"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["linear"]),
        helper.make_node("Clip", ["linear", "least", "most"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, SIDE, SIDE]) for name in inputs],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", len(weights[0])])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def section(file: Path) -> dict[str, Any]:
    """What stands under `detect.custom.NAME` for such a file."""
    return {
        "kind": "classifier", "file": str(file), "labels": ["calm", "fire"], "map": {"fire": LABEL},
        "activation": "none",
    }  # fmt: skip
