"""Reads what TensorFlow.js models are kept in: weight manifests and their shards, plain or inside JavaScript modules.

The formats: https://www.tensorflow.org/js/guide/conversion and tfjs-core's `io/types.ts` (`WeightsManifestEntry`).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.errors import ModelCorrupt

Weights = Mapping[str, NDArray[Any]]

_DTYPES = {"float32": np.float32, "int32": np.int32, "uint8": np.uint8, "uint16": np.uint16, "bool": np.bool_,
           "float16": np.float16}  # fmt: skip
# The bundler's own `module.exports=a()` stands before the one with the literal.
_EXPORTS = re.compile(r"\b\w+\.exports=(?=[{\"\[])")
# What a minifier writes differently from JSON. Strings come first, so that nothing inside one is touched.
_TOKEN = re.compile(
    r"""(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
      | !(?P<bit>[01])
      | (?P<key>[A-Za-z_$][\w$]*)(?=:)
      | (?<![\w.])(?P<dot>\.)(?=\d)""",
    re.VERBOSE,
)


def exported_value(module: str) -> Any:
    """The literal that a browserified CommonJS module exports, `n.exports={…}`, as dicts, lists, numbers and strings.

    Reads what minifiers make of JSON: `!0` for true, bare keys, `.5`. Raises ModelCorrupt where there is no literal.
    """
    start = _EXPORTS.search(module)
    if start is None:
        raise ModelCorrupt("a JavaScript module that exports nothing")
    try:
        value, _ = json.JSONDecoder().raw_decode(_TOKEN.sub(_as_json, module[start.end() :]))
    except json.JSONDecodeError as err:
        raise ModelCorrupt(f"a JavaScript module does not export a literal: {err}") from err
    return value


def _as_json(token: re.Match[str]) -> str:
    if token["bit"]:
        return "false" if token["bit"] == "1" else "true"
    if token["key"]:
        return f'"{token["key"]}"'
    return "0." if token["dot"] else token[0]


def exported_bytes(module: str) -> bytes:
    """The bytes that such a module exports as one base64 string. Raises ModelCorrupt."""
    try:
        return base64.b64decode(exported_value(module), validate=True)
    except (TypeError, binascii.Error) as err:
        raise ModelCorrupt(f"a JavaScript module does not export base64: {err}") from err


def read_weights(manifest: Sequence[Mapping[str, Any]], shards: Mapping[str, bytes]) -> Weights:
    """Every weight by name, dequantised to the type it is declared with. `shards` are the groups' files by path.

    Raises ModelCorrupt where a shard is missing, has the wrong size, or a type is unknown.
    """
    weights: dict[str, NDArray[Any]] = {}
    for group in manifest:
        try:
            buffer = b"".join(shards[path] for path in group["paths"])
        except KeyError as err:
            raise ModelCorrupt(f"the weight shard {err} is missing") from err
        offset = 0
        for entry in group["weights"]:
            weights[entry["name"]], offset = _read_one(entry, buffer, offset)
        if offset != len(buffer):
            raise ModelCorrupt(f"a weight group has {len(buffer)} bytes, its manifest describes {offset}")
    return weights


def _read_one(entry: Mapping[str, Any], buffer: bytes, offset: int) -> tuple[NDArray[Any], int]:
    """One weight, and the offset behind it."""
    name, shape, quantization = entry["name"], entry["shape"], entry.get("quantization")
    stored = _dtype(quantization["dtype"] if quantization else entry["dtype"], name)
    count = math.prod(shape)
    end = offset + count * stored.itemsize
    if end > len(buffer):
        raise ModelCorrupt(f"weight {name} ends at byte {end} of a group of {len(buffer)}")
    values = np.frombuffer(buffer, stored, count, offset).reshape(shape)
    if quantization:
        values = _dequantised(values, quantization, _dtype(entry["dtype"], name))
    return values, end


def _dequantised(values: NDArray[Any], quantization: Mapping[str, Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """q * scale + min in 32-bit floats, as tfjs-core's `decodeWeights` does it; whole numbers are rounded.

    Halves are what they are, without a scale.
    """
    if values.dtype == np.float16:
        return values.astype(dtype)
    scaled = values.astype(np.float32) * np.float32(quantization["scale"]) + np.float32(quantization["min"])
    return scaled if dtype == np.float32 else np.round(scaled).astype(dtype)


def _dtype(name: str, weight: str) -> np.dtype[Any]:
    try:
        return np.dtype(_DTYPES[name])
    except KeyError:
        raise ModelCorrupt(f"weight {weight} has the type {name!r}, which is not supported") from None
