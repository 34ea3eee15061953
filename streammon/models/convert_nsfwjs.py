"""The conversion step `nsfwjs-1`: npm nsfwjs's bundled layers models (JavaScript modules) to ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from streammon.errors import ModelCorrupt
from streammon.models.catalog import Model
from streammon.models.keras_onnx import to_onnx
from streammon.models.tfjs import exported_bytes, exported_value, read_weights

_SUFFIX = ".min.js"


def convert(model: Model, files: Mapping[str, Path]) -> bytes:
    """The ONNX model made of the package's verified `files`, by path in the package. Raises ModelCorrupt."""
    modules = {PurePosixPath(path).name.removesuffix(_SUFFIX): file for path, file in files.items()}
    definition = exported_value(modules.pop("model").read_text(encoding="utf-8"))
    shards = {name: exported_bytes(file.read_text(encoding="ascii")) for name, file in modules.items()}
    try:
        topology, manifest = definition["modelTopology"]["model_config"]["config"], definition["weightsManifest"]
    except (KeyError, TypeError) as err:
        raise ModelCorrupt(f"{model.name}: model{_SUFFIX} is not a layers model: {err} is missing") from err
    made_from = f"{model.source.name}, {model.convert}"
    return to_onnx(topology, read_weights(manifest, shards), labels=model.raw_labels, made_from=made_from)
