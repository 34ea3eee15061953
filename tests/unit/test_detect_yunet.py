"""YuNet's head and SFace's chips beside OpenCV's own code for both, on small real graphs with the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from streammon.detect.faces.sface import SFaceEmbedder
from streammon.detect.faces.yunet import YuNetLocator, decode
from streammon.detect.runtime.session import open_session
from streammon.entities import Image
from streammon.errors import ModelError

Head = dict[str, NDArray[np.float32]]
KINDS = (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
FACES = 12


def head(seed: int = 3) -> Head:
    """A dozen faces, some of them twice, at all strides."""
    draw = np.random.default_rng(seed)
    made = {f"{kind}_{s}": np.zeros((1, (640 // s) ** 2, n), np.float32) for kind, n in KINDS for s in (8, 16, 32)}
    for number in range(FACES):
        stride = (8, 16, 32)[number % 3]
        side = 640 // stride
        cell = int(draw.integers(side * side - 1))
        for twin in (cell, cell + 1):
            made[f"cls_{stride}"][0, twin] = draw.uniform(0.7, 1.0)
            made[f"obj_{stride}"][0, twin] = draw.uniform(0.7, 1.0)
            made[f"bbox_{stride}"][0, twin] = draw.uniform(-0.5, 1.5, 4)
            made[f"kps_{stride}"][0, twin] = draw.uniform(-1, 1, 10)
    return made


def graph(path: Path, outputs: Head) -> Path:
    """Its outputs are these, whatever it is shown."""
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])]
    constants = {f"{name}_is": value for name, value in outputs.items()}
    constants |= {"none": np.array(0, np.float32), "axes": np.array([1, 2, 3], np.int64)}
    nodes = [
        helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["nothing"]),
        *(helper.make_node("Add", [f"{name}_is", "nothing"], [name]) for name in outputs),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(value.shape)) for name, value in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def locator(file: Path, min_score: float = 0.8) -> YuNetLocator:
    return YuNetLocator(open_session(file, "cpu", 1), min_score)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_faces_are_where_opencv_says_they_are(tmp_path: Path, seed: int) -> None:
    file = graph(tmp_path / "yunet.onnx", head(seed))
    wanted = cv2.FaceDetectorYN.create(str(file), "", (640, 640), 0.8, 0.3, 5000).detect(
        np.zeros((640, 640, 3), np.uint8)
    )[1]
    found = locator(file).locate(np.zeros((640, 640, 3), np.uint8))
    assert 5 <= len(found) == len(wanted) < 2 * FACES
    for one, other in zip(found, wanted, strict=True):
        assert (one.left, one.top, one.width, one.height) == pytest.approx(tuple(other[:4]), abs=1e-2)
        assert one.points.reshape(-1) == pytest.approx(other[4:14], abs=1e-2)
        assert one.score == pytest.approx(float(other[14]), abs=1e-5)


def test_a_face_is_told_in_the_picture_s_own_pixels(tmp_path: Path) -> None:
    file = graph(tmp_path / "yunet.onnx", head())
    whole = locator(file).locate(np.zeros((640, 640, 3), np.uint8))
    wide = locator(file).locate(np.zeros((720, 1280, 3), np.uint8))  # halved, with 140 px of black above and below
    assert len(whole) == len(wide) > 0
    for one, other in zip(whole, wide, strict=True):
        assert (other.left, other.top) == pytest.approx((2 * one.left, 2 * (one.top - 140)), abs=1e-2)
        assert (other.width, other.height) == pytest.approx((2 * one.width, 2 * one.height), abs=1e-2)
        assert other.points == pytest.approx(2 * (one.points - [0, 140]), abs=1e-2)


@pytest.mark.parametrize("name", ["cls_8", "obj_16", "bbox_32", "kps_8"])
def test_numbers_that_are_none_are_an_error_and_no_face(tmp_path: Path, name: str) -> None:
    spoilt = head()
    spoilt[name][:] = np.nan
    with pytest.raises(ModelError, match="gave what is no number"):
        locator(graph(tmp_path / "yunet.onnx", spoilt)).locate(np.zeros((640, 640, 3), np.uint8))


def test_other_outputs_are_refused(tmp_path: Path) -> None:
    short = dict(list(head().items())[:11])
    with pytest.raises(ModelError, match="has no YuNet head: it has 11 outputs, not 12"):
        locator(graph(tmp_path / "yunet.onnx", short)).warm_up()
    with pytest.raises(ValueError, match="stride 8"):
        decode([value[:, :7] for value in head().values()], 0.5)


@pytest.mark.parametrize("shape", [(1, 1), (20_000, 10), (10, 20_000)])
def test_odd_pictures_are_taken(tmp_path: Path, shape: tuple[int, int]) -> None:
    empty = {name: np.zeros_like(value) for name, value in head().items()}
    assert locator(graph(tmp_path / "yunet.onnx", empty)).locate(np.zeros((*shape, 3), np.uint8)) == []


def embedder(path: Path, times: float = 1.0) -> tuple[Path, SFaceEmbedder]:
    """128 numbers: some pixels of the picture's middle, `times` so much."""
    constants: dict[str, Any] = {
        "from": np.array([6272], np.int64), "to": np.array([6400], np.int64), "axis": np.array([1], np.int64),
        "flat": np.array([0, -1], np.int64), "times": np.array(times, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Reshape", ["data", "flat"], ["row"]),
        helper.make_node("Slice", ["row", "from", "to", "axis"], ["some"]),
        helper.make_node("Mul", ["some", "times"], ["fc1"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 128])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path, SFaceEmbedder(open_session(path, "cpu", 1))


def picture() -> Image:
    y, x = np.mgrid[:480, :640]
    waves = [127 + 100 * np.sin(x / a) * np.cos(y / b) for a, b in ((9, 13), (17, 7), (11, 23))]
    return np.stack(waves, axis=2).astype(np.uint8)


POINTS = np.array([[300.0, 200.0], [360.0, 210.0], [325.0, 240.0], [300.0, 270.0], [350.0, 278.0]])


@pytest.mark.parametrize("shift", [(0, 0), (-290, -190), (250, 180)])
def test_chips_and_vectors_are_opencv_s(tmp_path: Path, shift: tuple[int, int]) -> None:
    file, ours = embedder(tmp_path / "sface.onnx")
    theirs = cv2.FaceRecognizerSF.create(str(file), "")
    points, image = POINTS + shift, picture()
    row = np.concatenate([[0, 0, 1, 1], points.reshape(-1), [1.0]]).astype(np.float32)
    bgr = np.ascontiguousarray(image[..., ::-1])
    wanted = theirs.alignCrop(bgr, row)
    chip = ours.chip(image, points)
    assert np.abs(chip.astype(int) - wanted[..., ::-1].astype(int)).max() <= 3
    vector = theirs.feature(np.ascontiguousarray(chip[..., ::-1])).reshape(-1)
    np.testing.assert_allclose(ours.vectors([chip])[0], vector / np.linalg.norm(vector), atol=1e-5)


def test_a_very_long_picture_and_points_outside_of_it_are_taken(tmp_path: Path) -> None:
    _, ours = embedder(tmp_path / "sface.onnx")
    assert ours.chip(np.zeros((40_000, 10, 3), np.uint8), POINTS).shape == (112, 112, 3)
    assert ours.chip(np.zeros((1, 1, 3), np.uint8), POINTS).shape == (112, 112, 3)


@pytest.mark.parametrize("times", [0.0, float("nan")])
def test_a_vector_that_is_none_is_an_error(tmp_path: Path, times: float) -> None:
    _, ours = embedder(tmp_path / "sface.onnx", times)
    with pytest.raises(ModelError, match="no number"):
        ours.vectors([np.full((112, 112, 3), 9, np.uint8)])
    assert ours.vectors([]).shape == (0, 128)
