"""TensorFlow.js graph models to ONNX: every operation computes TensorFlow's formula, unknown ones are named."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession  # type: ignore[attr-defined]

from streammon.errors import ModelCorrupt
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs import read_weights
from streammon.models.tfjs_graph import add_graph_model

Node = dict[str, Any]
SHAPE = (3, 4, 6)
PICTURES = np.random.default_rng(3).random((2, *SHAPE), np.float32) - np.float32(0.5)
NHWC, NCHW = np.array([0, 2, 3, 1], np.int32), np.array([0, 3, 1, 2], np.int32)


def node(kind: str, name: str, *sources: str, **attributes: Any) -> Node:
    return {"name": name, "op": kind, "input": list(sources), "attr": attributes}


def ints(*numbers: int) -> dict[str, Any]:
    return {"list": {"i": [str(number) for number in numbers]}}


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def run(nodes: list[Node], **known: Any) -> NDArray[np.float32]:
    """The last node's output for both pictures; `known` are the constants."""
    graph = Graph({name: np.asarray(value) for name, value in known.items()})
    constants = [node("Const", name) for name in known]
    values = add_graph_model(graph, [node("Placeholder", "in"), *constants, *nodes], "input", SHAPE)
    graph.node("Identity", [values.tensor(nodes[-1]["name"])], "out")
    shape = graph.shape_of("out", SHAPE)[1:]
    session = InferenceSession(graph.with_outputs(SHAPE, {"out": shape}, {}), providers=["CPUExecutionProvider"])
    (out,) = session.run(["out"], {"input": PICTURES})
    return np.asarray(out)


def conv(name: str, source: str, stride: int = 1, padding: str = "VALID") -> Node:
    return node("Conv2D", name, source, "kernel", strides=ints(1, stride, stride, 1), dilations=ints(1, 1, 1, 1),
                padding=text(padding))  # fmt: skip


def test_a_convolution_and_its_bias_have_the_channels_last() -> None:
    kernel = np.random.default_rng(5).standard_normal((2, 3, 3, 5)).astype(np.float32)
    bias = np.arange(5, dtype=np.float32)
    nodes = [node("Transpose", "last", "in", "to"), conv("c", "last"), node("AddV2", "sum", "c", "bias")]
    got = run(nodes, kernel=kernel, bias=bias, to=NHWC)
    patches = np.lib.stride_tricks.sliding_window_view(PICTURES, (2, 3), axis=(2, 3))
    np.testing.assert_allclose(got, np.einsum("nixyhw,hwio->nxyo", patches, kernel) + bias, atol=1e-5)


def test_transpositions_that_undo_each_other_leave_no_node() -> None:
    kernel = np.ones((1, 1, 3, 3), np.float32)
    graph = Graph({"kernel": kernel, "to": NHWC, "back": NCHW})
    nodes = [node("Placeholder", "in"), *(node("Const", name) for name in ("kernel", "to", "back"))]
    nodes += [node("Transpose", "last", "in", "to"), conv("c", "last"), node("Transpose", "first", "c", "back")]
    values = add_graph_model(graph, nodes, "input", SHAPE)
    assert values.tensor("first") == "c/nchw"
    assert [made.op_type for made in graph._nodes] == ["Conv"]


def test_same_padding_puts_the_odd_pixel_behind() -> None:
    kernel = np.ones((3, 3, 3, 1), np.float32)
    nodes = [node("Transpose", "last", "in", "to"), conv("c", "last", 2, "SAME")]
    padded = np.pad(PICTURES, [(0, 0), (0, 0), (0, 1), (0, 1)])
    expected = np.stack(
        [np.stack([padded[:, :, y : y + 3, x : x + 3].sum(axis=(1, 2, 3)) for x in (0, 2, 4)], 1) for y in (0, 2)], 1
    )
    np.testing.assert_allclose(run(nodes, kernel=kernel, to=NHWC)[..., 0], expected, atol=1e-5)


def test_pooling_padding_and_leaking() -> None:
    nodes = [
        node("PadV2", "padded", "in", "pads", "least"),
        node("Transpose", "last", "padded", "to"),
        node("MaxPool", "most", "last", ksize=ints(1, 2, 2, 1), strides=ints(1, 2, 2, 1), padding=text("VALID")),
        node("LeakyRelu", "leaky", "most", alpha={"f": 0.1}),
    ]
    got = run(nodes, pads=np.array([[0, 0], [0, 0], [1, 1], [0, 0]], np.int32), least=np.float32(-9), to=NHWC)
    padded = np.pad(PICTURES, [(0, 0), (0, 0), (1, 1), (0, 0)], constant_values=-9)
    most = padded.reshape(2, 3, 3, 2, 3, 2).max(axis=(3, 5)).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, np.where(most > 0, most, 0.1 * most), atol=1e-6)


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_bilinear_resizing_keeps_pixel_centres(factor: float) -> None:
    height, width = round(4 * factor), round(6 * factor)
    nodes = [
        node("LeakyRelu", "same", "in", alpha={"f": 1.0}),
        node("Transpose", "last", "same", "to"),
        node("ResizeBilinear", "resized", "last", "size", half_pixel_centers={"b": True}),
    ]
    got = run(nodes, size=np.array([height, width], np.int32), to=NHWC)

    def weights(size: int, wanted: int) -> NDArray[np.float64]:
        at = ((np.arange(wanted) + 0.5) * size / wanted - 0.5).clip(0, size - 1)
        return np.asarray(np.clip(1 - np.abs(at[:, None] - np.arange(size)), 0, 1))

    expected = np.einsum("yh,nchw,xw->nyxc", weights(4, height), PICTURES, weights(6, width))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_splitting_joining_and_reshaping_hold_for_any_number_of_pictures() -> None:
    nodes = [
        node("SplitV", "parts", "in", "sizes", "axis"),
        node("Sigmoid", "sure", "parts:1"),
        node("ConcatV2", "joined", "parts", "sure", "axis"),
        node("SparseToDense", "none", "places", "length", "values", "zero"),
        node("AddV2", "shape", "wanted", "none"),
        node("Reshape", "flat", "joined", "shape"),
        node("Identity", "same", "flat"),
    ]
    got = run(
        nodes, sizes=np.array([1, 2], np.int32), axis=np.int32(1), places=np.array([[2]], np.int32),
        length=np.array([3], np.int32), values=np.array([20], np.int32), zero=np.int32(0),
        wanted=np.array([1, 3, 4], np.int32),
    )  # fmt: skip
    joined = np.concatenate([PICTURES[:, :1], 1 / (1 + np.exp(-PICTURES[:, 1:]))], axis=1)
    np.testing.assert_allclose(got, joined.reshape(2, 3, 24), atol=1e-6)


def test_views_of_unequal_order_are_laid_out_before_they_are_added() -> None:
    nodes = [node("Transpose", "turned", "in", "order"), node("Reshape", "square", "in", "shape"),
             node("Add", "sum", "turned", "square")]  # fmt: skip
    got = run(nodes, order=np.array([0, 2, 1, 3], np.int32), shape=np.array([1, 4, 3, 6], np.int32))
    np.testing.assert_allclose(got, PICTURES.transpose(0, 2, 1, 3) + PICTURES.reshape(2, 4, 3, 6), atol=1e-6)


def test_halves_are_read_as_what_they_are() -> None:
    entry = {"name": "h", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}}
    read = read_weights([{"paths": ["s"], "weights": [entry]}], {"s": np.array([0.5, -3], np.float16).tobytes()})
    assert read["h"].dtype == np.float32
    assert read["h"].tolist() == [0.5, -3]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (node("Einsum", "x", "in"), "node x is a Einsum"),
        (node("Sigmoid", "x", "gone"), "has no node gone"),
        (node("Reshape", "x", "in", "far"), "node x reshapes across pictures"),
        (node("Transpose", "x", "in", "in"), "in depends on the picture"),
        (node("ResizeBilinear", "x", "in", "far", half_pixel_centers={"b": False}), "without half_pixel_centers"),
        (conv("x", "in", padding="EXPLICIT"), "padding 'EXPLICIT'"),
    ],
)
def test_what_the_converter_does_not_know_is_named(bad: Node, reason: str) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        run([bad], far=np.array([2, 3], np.int32), kernel=np.zeros((1, 1, 3, 1), np.float32))
