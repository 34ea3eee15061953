"""Reading TensorFlow.js: minified literals, shards, weights."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from streammon.errors import ModelCorrupt
from streammon.models.tfjs import exported_bytes, exported_value, read_weights

# As browserify and terser wrap it, cut short: other exports stand before the one that counts.
BUNDLE = (
    '!function(a){if("object"==typeof exports)module.exports=a()}(function(){return c=i[o]={exports:{}},c.exports}'
    "({1:[function(a,n,i){n.exports=%s},{}]},{},[1])(1));"
)


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("{a:!0,b:!1,c:null}", {"a": True, "b": False, "c": None}),
        ("{a:.5,b:-.25,c:[.1,2],d:1e-3,e:12e-30}", {"a": 0.5, "b": -0.25, "c": [0.1, 2], "d": 0.001, "e": 12e-30}),
        ('{"quoted key":1,$k_1:{x:[]}}', {"quoted key": 1, "$k_1": {"x": []}}),
        (r'{a:"b:.5,!0 {x:1}",c:"\"q:!1\\"}', {"a": "b:.5,!0 {x:1}", "c": '"q:!1\\'}),
        ("{a:1.5,b:0.25}", {"a": 1.5, "b": 0.25}),
        ("[1,[2,.5]]", [1, [2, 0.5]]),
    ],
)
def test_a_minified_literal_is_read(literal: str, value: object) -> None:
    assert exported_value(BUNDLE % literal) == value


@pytest.mark.parametrize("module", ["var a=1", BUNDLE % "{a:b()}", "n.exports={a:1", BUNDLE % "function(){}"])
def test_a_module_without_a_literal_is_refused(module: str) -> None:
    with pytest.raises(ModelCorrupt, match="JavaScript module"):
        exported_value(module)


def test_a_shard_is_read() -> None:
    content = bytes(range(256))
    assert exported_bytes(BUNDLE % f'"{base64.b64encode(content).decode()}"') == content


@pytest.mark.parametrize("literal", ['"AAA"', '"????"', "{a:1}"])
def test_a_shard_that_is_not_base64_is_refused(literal: str) -> None:
    with pytest.raises(ModelCorrupt, match="base64"):
        exported_bytes(BUNDLE % literal)


def entry(name: str, shape: list[int], dtype: str = "float32", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "dtype": dtype, **more}


def test_weights_lie_one_behind_the_other_across_shards() -> None:
    kernel, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 8], np.int32)
    whole = kernel.tobytes() + bias.tobytes()
    manifest = [{"paths": ["s1", "s2"], "weights": [entry("k", [2, 3]), entry("b", [2], "int32")]}]
    weights = read_weights(manifest, {"s1": whole[:5], "s2": whole[5:]})
    np.testing.assert_array_equal(weights["k"], kernel)
    np.testing.assert_array_equal(weights["b"], bias)


def test_quantised_weights_come_back_as_what_they_were() -> None:
    floats = entry("f", [3], quantization={"dtype": "uint8", "scale": 0.5, "min": -1.0})
    whole = entry("i", [2], "int32", quantization={"dtype": "uint16", "scale": 0.9, "min": 0.0})
    manifest = [{"paths": ["s"], "weights": [floats, whole]}]
    weights = read_weights(manifest, {"s": bytes([0, 2, 255]) + np.array([1, 10], np.uint16).tobytes()})
    np.testing.assert_array_equal(weights["f"], np.array([-1.0, 0.0, 126.5], np.float32))
    assert weights["f"].dtype == np.float32
    np.testing.assert_array_equal(weights["i"], np.array([1, 9], np.int32))


def test_a_scalar_has_an_empty_shape() -> None:
    weights = read_weights([{"paths": ["s"], "weights": [entry("x", [])]}], {"s": np.float32(3).tobytes()})
    assert weights["x"].shape == ()
    assert weights["x"] == 3


@pytest.mark.parametrize(
    ("weight", "shard", "reason"),
    [
        (entry("w", [2]), b"\0" * 7, "weight w ends at byte 8 of a group of 7"),
        (entry("w", [2]), b"\0" * 9, "has 9 bytes, its manifest describes 8"),
        (entry("w", [2], "complex64"), b"\0" * 16, "weight w has the type 'complex64'"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(weight: dict[str, Any], shard: bytes, reason: str) -> None:
    with pytest.raises(ModelCorrupt, match=reason):
        read_weights([{"paths": ["s"], "weights": [weight]}], {"s": shard})


def test_a_missing_shard_is_named() -> None:
    with pytest.raises(ModelCorrupt, match="'s2' is missing"):
        read_weights([{"paths": ["s1", "s2"], "weights": []}], {"s1": b""})
