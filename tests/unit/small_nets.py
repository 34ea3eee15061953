"""ONNX files whose outputs are a picture's own pixels, so that a test says with a picture what a model finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streammon.entities import Frame, Image, Moment

FLOAT = TensorProto.FLOAT


def pixel_net(
    path: Path,
    side_px: int,
    outputs: Mapping[str, Sequence[int]],
    *,
    labels: str = "",
    gain: float = 1.0,
    add: float = 0.0,
) -> Path:
    """Each output is the next values of `gain * input + add`, in the order of the input: plane, row, column."""
    picture = helper.make_tensor_value_info("input", FLOAT, ["N", 3, side_px, side_px])
    made = [helper.make_tensor_value_info(name, FLOAT, ["N", *shape]) for name, shape in outputs.items()]
    constants = {"gain": np.float32(gain), "add": np.float32(add), "axis": np.array([1], np.int64)}
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("Mul", ["flat", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "add"], ["values"]),
    ]
    start = 0
    for name, shape in outputs.items():
        end = start + int(np.prod(shape))
        constants |= {f"{name}/start": np.array([start], np.int64), f"{name}/end": np.array([end], np.int64),
                      f"{name}/shape": np.array([0, *shape], np.int64)}  # fmt: skip
        nodes.append(helper.make_node("Slice", ["values", f"{name}/start", f"{name}/end", "axis"], [f"{name}/part"]))
        nodes.append(helper.make_node("Reshape", [f"{name}/part", f"{name}/shape"], [name]))
        start = end
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "pixels", [picture], made, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"labels": labels})
    onnx.save(model, path)
    return path


def frame_of(image: Image) -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip
