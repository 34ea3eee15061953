"""Text models that answer what is no number: an error, so that the look does not count as one that saw nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from streammon.detect.config import DetectConfig
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import Session
from streammon.detect.text.locator import TextLocator
from streammon.detect.text.reader import TextReader
from streammon.entities import Box
from streammon.errors import ModelError
from tests.unit.small_nets import FLOAT

WHITE = np.full((48, 160, 3), 255, np.uint8)
SOUND, BROKEN = 1.0, [np.nan, np.inf]


def averaging(path: Path, axis: int, order: list[int], gain: float) -> Session:
    """Answers the mean of its input over `axis`, times `gain`, its axes in `order`."""
    planes = helper.make_tensor_value_info("x", FLOAT, [1, 3, "H", "W"])
    answer = helper.make_tensor_value_info("y", FLOAT, [None] * len(order))
    nodes = [
        helper.make_node("Mul", ["x", "gain"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled"], ["mean"], axes=[axis], keepdims=int(len(order) == 4)),
        helper.make_node("Transpose", ["mean"], ["y"], perm=order),
    ]
    graph = helper.make_graph(
        nodes, "mean", [planes], [answer], [numpy_helper.from_array(np.array(gain, np.float32), "gain")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"character": "a"})
    onnx.save(model, path)
    return Runtime(DetectConfig(provider="cpu")).open(path)


def locator(folder: Path, gain: float) -> TextLocator:
    return TextLocator(averaging(folder / "finder.onnx", 1, [0, 1, 2, 3], gain))


def reader(folder: Path, gain: float) -> TextReader:
    return TextReader(averaging(folder / "reader.onnx", 2, [0, 2, 1], gain))


def test_numbers_are_no_error(tmp_path: Path) -> None:
    assert len(locator(tmp_path, SOUND).locate(WHITE, 5)) == 1
    assert reader(tmp_path, SOUND).read([WHITE])[0][1] == pytest.approx(0.0)


@pytest.mark.parametrize("gain", BROKEN)
def test_a_finder_that_gives_no_number_is_an_error_and_no_picture_without_text(tmp_path: Path, gain: float) -> None:
    with pytest.raises(ModelError, match="finder: gave what is no number"):
        locator(tmp_path, gain).locate(WHITE, 5)
    with pytest.raises(ModelError, match="finder: gave what is no number"):
        locator(tmp_path, gain).may_have(np.full((720, 1280, 3), 255, np.uint8), Box(x=0.4, y=0.4, w=0.1, h=0.1))


@pytest.mark.parametrize("gain", BROKEN)
def test_a_reader_that_gives_no_number_is_an_error_and_no_text(tmp_path: Path, gain: float) -> None:
    with pytest.raises(ModelError, match="reader: gave what is no number"):
        reader(tmp_path, gain).read([WHITE])
