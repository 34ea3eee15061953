"""Small real models in ONNX in the place of those of faces: what they say is set, or follows from the mean colour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streammon.detect.faces.detector import FacesDetector
from streammon.entities import Frame, Image, Moment

ROWS, COLUMNS = 96, 160
"""Of the heat of a lying picture of 384 x 640."""
Cell = tuple[int, int, float, float]
"""Row and column of a face's middle, and its height and width in pixels of the input."""
UPRIGHT = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
"""The points of every face of these models, in parts of its box."""


def locator_file(path: Path, faces: Sequence[Cell], *, heat: float = 0.9) -> Path:
    """Finds these faces in any picture, each as sure as `heat`."""
    found = [np.zeros((1, depth, ROWS, COLUMNS), np.float32) for depth in (1, 2, 2, 10)]
    for row, column, height, width in faces:
        found[0][0, 0, row, column] = heat
        found[1][0, :, row, column] = np.log(height / 4), np.log(width / 4)
        found[3][0, :, row, column] = UPRIGHT[:, ::-1].reshape(-1)
    return outputs_file(path, found)


def outputs_file(path: Path, found: Sequence[NDArray[np.float32]]) -> Path:
    """Says this of any picture."""
    names = ("heat", "sizes", "offsets", "landmarks")
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(values))
        for name, values in zip(names, found, strict=True)
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, v.shape) for name, v in zip(names, found, strict=True)
    ]
    return _saved(path, nodes, [], ["N", 3, "height", "width"], outputs)


def rows_file(path: Path, matrix: NDArray[np.float32], side: int, bias: NDArray[np.float32] | None = None) -> Path:
    """Of a picture side x side, the mean of its channels times `matrix` (3 x n), and `bias` (n) on top."""
    more = bias if bias is not None else np.zeros(matrix.shape[1], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["means", "matrix", "bias"], ["rows"]),
    ]
    weights = [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(more, "bias")]
    output = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["N", matrix.shape[1]])
    return _saved(path, nodes, weights, ["N", 3, side, side], [output])


def _saved(
    path: Path, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto], shape: list[int | str],
    outputs: list[onnx.ValueInfoProto],
) -> Path:  # fmt: skip
    picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [picture], outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def embedder_file(path: Path) -> Path:
    """Red, green and blue faces are three people: each channel has a direction of its own."""
    matrix = np.zeros((3, 128), np.float32)
    matrix[[0, 1, 2], [0, 1, 2]] = 100.0
    return rows_file(path, matrix, 150, np.ones(128, np.float32))


def ages_file(path: Path, ages: NDArray[np.float32]) -> Path:
    """This distribution for any face."""
    return rows_file(path, np.zeros((3, len(ages)), np.float32), 224, ages)


def years(**shares: float) -> NDArray[np.float32]:
    """A distribution over ages: `y5=0.6, y30=0.4`."""
    ages = np.zeros(100, np.float32)
    for year, share in shares.items():
        ages[int(year.removeprefix("y"))] = share
    return ages


def shown(image: Image, room_id: str = "r") -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id=room_id, moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def plain(colour: tuple[int, int, int], height: int = 384, width: int = 640) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def found(detector: FacesDetector, image: Image) -> dict[str | None, float]:
    """Labels and scores."""
    (detections,) = detector.detect([shown(image)])
    return {detection.label: round(detection.score, 3) for detection in detections}
