"""Keras layers to ONNX: every layer computes what Keras's formula says, and unknown ones are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession  # type: ignore[attr-defined]

from streammon.errors import ModelCorrupt
from streammon.models.keras_onnx import to_onnx

Floats = NDArray[np.float32]
CONV = {"strides": [1, 1], "dilation_rate": [1, 1], "padding": "valid", "activation": "linear", "use_bias": False}
PICTURE = np.random.default_rng(3).random((2, 4, 5, 3), np.float32)


def layer(kind: str, name: str, *sources: str, **config: Any) -> dict[str, Any]:
    inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": config, "inbound_nodes": inbound}


def topology(*layers: dict[str, Any]) -> dict[str, Any]:
    start = layer("InputLayer", "in", batch_input_shape=[None, 4, 5, 3])
    return {"layers": [start, *layers], "output_layers": [[layers[-1]["name"], 0, 0]]}


def run(net: dict[str, Any], weights: dict[str, Any], classes: int) -> Any:
    model = to_onnx(net, weights, labels=[str(n) for n in range(classes)], made_from="test")
    session = InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": PICTURE})[0]


def conv(name: str, source: str, **config: Any) -> dict[str, Any]:
    return layer("Conv2D", name, source, **(CONV | config))


def identity_kernel() -> Floats:
    return np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)


def test_flatten_keeps_keras_order_and_dense_and_softmax_follow() -> None:
    kernel = np.random.default_rng(4).standard_normal((60, 2)).astype(np.float32)
    bias = np.array([0.5, -0.5], np.float32)
    net = topology(layer("Flatten", "flat", "in"), layer("Dense", "top", "flat", use_bias=True, activation="softmax"))
    logits = PICTURE.reshape(2, 60) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(net, {"top/kernel": kernel, "top/bias": bias}, 2), expected, atol=1e-6)


def flat(net: list[dict[str, Any]]) -> dict[str, Any]:
    return topology(*net, layer("Flatten", "flat", net[-1]["name"]))


def test_a_convolution_reads_its_kernel_as_height_width_in_out() -> None:
    kernel = np.random.default_rng(5).standard_normal((2, 3, 3, 4)).astype(np.float32)
    bias = np.arange(4, dtype=np.float32)
    got = run(flat([conv("c", "in", use_bias=True, activation="relu")]), {"c/kernel": kernel, "c/bias": bias}, 36)
    patches = np.lib.stride_tricks.sliding_window_view(PICTURE, (2, 3), axis=(1, 2))
    expected = np.maximum(np.einsum("nyxihw,hwio->nyxo", patches, kernel) + bias, 0)
    np.testing.assert_allclose(got, expected.reshape(2, -1), atol=1e-5)


def test_a_depthwise_convolution_keeps_its_channels_apart() -> None:
    kernel = np.random.default_rng(6).standard_normal((2, 2, 3, 1)).astype(np.float32)
    got = run(flat([layer("DepthwiseConv2D", "d", "in", **CONV)]), {"d/depthwise_kernel": kernel}, 36)
    patches = np.lib.stride_tricks.sliding_window_view(PICTURE, (2, 2), axis=(1, 2))
    expected = np.einsum("nyxihw,hwi->nyxi", patches, kernel[..., 0])
    np.testing.assert_allclose(got, expected.reshape(2, -1), atol=1e-5)


@pytest.mark.parametrize("scale", [True, False])
def test_batch_normalisation_leaves_out_what_the_layer_does_not_have(scale: bool) -> None:
    mean, variance, beta, gamma = (np.random.default_rng(seed).random(3, np.float32) for seed in range(4))
    weights = {"n/moving_mean": mean, "n/moving_variance": variance, "n/beta": beta, "n/gamma": gamma}
    net = flat([layer("BatchNormalization", "n", "in", scale=scale, center=True, epsilon=0.01)])
    expected = (PICTURE - mean) / np.sqrt(variance + 0.01) * (gamma if scale else 1) + beta
    np.testing.assert_allclose(run(net, weights, 60), expected.reshape(2, -1), atol=1e-5)


def test_average_pooling_with_same_padding_counts_only_what_is_there() -> None:
    pool = layer("AveragePooling2D", "p", "in", pool_size=[3, 3], strides=[1, 1], padding="same")
    got = run(flat([pool]), {}, 60).reshape(2, 4, 5, 3)
    np.testing.assert_allclose(got[:, 0, 0], PICTURE[:, :2, :2].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(got[:, 1, 1], PICTURE[:, :3, :3].mean(axis=(1, 2)), atol=1e-6)


def test_max_pooling_padding_joining_adding_and_clipping() -> None:
    net = flat(
        [
            layer("ZeroPadding2D", "pad", "in", padding=[[1, 0], [0, 1]]),
            layer("MaxPooling2D", "pool", "pad", pool_size=[5, 6], strides=[1, 1], padding="valid"),
            layer("Add", "sum", "pool", "pool"),
            layer("ReLU", "clip", "sum", max_value=1.5),
            layer("Activation", "relu", "sum", activation="relu"),
            layer("Dropout", "drop", "relu", rate=0.5),
            layer("Concatenate", "join", "clip", "drop", axis=3),
        ]
    )
    twice = 2 * PICTURE.max(axis=(1, 2))
    expected = np.concatenate([np.minimum(twice, 1.5), twice], axis=1)
    np.testing.assert_allclose(run(net, {}, 6), expected, atol=1e-6)


def test_the_same_model_gives_the_same_bytes_with_its_labels_in_them() -> None:
    def made() -> bytes:
        net = flat([conv("c", "in")])
        return to_onnx(net, {"c/kernel": identity_kernel()}, labels=[f"L{n}" for n in range(60)], made_from="pkg 1")

    assert made() == made()
    meta = InferenceSession(made(), providers=["CPUExecutionProvider"]).get_modelmeta()
    assert meta.custom_metadata_map["labels"].split(",")[:2] == ["L0", "L1"]
    assert meta.custom_metadata_map["made_from"] == "pkg 1"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (layer("LSTM", "x", "in"), "layer x is a LSTM"),
        (layer("Activation", "x", "in", activation="swish"), "layer x has the activation 'swish'"),
        (layer("ReLU", "x", "in", negative_slope=0.1), "layer x is a leaky"),
        (layer("Concatenate", "x", "in", axis=1), "layer x joins along axis 1"),
        (conv("x", "in"), "weight x/kernel is missing"),
    ],
)
def test_what_the_converter_does_not_know_is_named(bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        to_onnx(topology(bad), {}, labels=["a"], made_from="test")


def test_a_depth_multiplier_is_refused() -> None:
    bad = layer("DepthwiseConv2D", "x", "in", strides=[1, 1])
    with pytest.raises(ModelCorrupt, match="depth multiplier of 2"):
        to_onnx(topology(bad), {"x/depthwise_kernel": np.zeros((1, 1, 3, 2), np.float32)}, labels=["a"], made_from="t")


def test_a_net_with_another_number_of_classes_than_labels_is_refused() -> None:
    net = topology(layer("Flatten", "flat", "in"), layer("Dense", "top", "flat", use_bias=False, activation="softmax"))
    with pytest.raises(ModelCorrupt, match="not valid ONNX"):
        to_onnx(net, {"top/kernel": np.zeros((60, 2), np.float32)}, labels=["a", "b", "c"], made_from="test")
