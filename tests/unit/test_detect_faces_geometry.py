"""Where faces are and how they are cut out: CenterFace's numbers, and what becomes of its five points."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streammon.detect.faces.alignment import chip, similarity
from streammon.detect.faces.face import Face
from streammon.detect.faces.locator import FaceLocator, decode
from streammon.detect.runtime.session import open_session
from streammon.errors import ModelError
from tests.unit.face_models import UPRIGHT, locator_file, outputs_file

SIDE = 150
# Where a face's points belong, in parts of a chip with a padding of 0.25: (place + 0.25) / 1.5.
EYES = np.array([[0.3107, 0.3070], [0.6893, 0.3070]])


def locator(file: Path) -> FaceLocator:
    return FaceLocator(open_session(file, "cpu"))


def nothing() -> list[NDArray[np.float32]]:
    return [np.zeros((1, depth, 8, 8), np.float32) for depth in (1, 2, 2, 10)]


def test_a_cell_becomes_a_box_with_five_points() -> None:
    heat, sizes, offsets, landmarks = nothing()
    heat[0, 0, 3, 5] = 0.8
    sizes[0, :, 3, 5] = math.log(6), math.log(4)  # 24 high, 16 wide
    offsets[0, :, 3, 5] = 0.25, -0.5
    landmarks[0, :, 3, 5] = np.arange(10) / 10  # y, x of each point in turn
    (row,) = decode([heat, sizes, offsets, landmarks], 0.5)
    left, top = (5 - 0.5 + 0.5) * 4 - 8, (3 + 0.25 + 0.5) * 4 - 12
    assert row[:5] == pytest.approx([left, top, 16, 24, 0.8], abs=1e-5)
    points = [(left + 16 * (2 * n + 1) / 10, top + 24 * 2 * n / 10) for n in range(5)]
    np.testing.assert_allclose(row[5:].reshape(5, 2), points, atol=1e-4)


def test_what_is_not_hot_enough_is_no_face() -> None:
    outputs = nothing()
    outputs[0][0, 0, 2, 2] = 0.49
    assert decode(outputs, 0.5).shape == (0, 15)


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(384, 640, 1.0), (720, 1280, 2.0), (1080, 1920, 3.0), (100, 160, 1.0)]
)
def test_a_face_is_told_in_pixels_of_the_picture(tmp_path: Path, height: int, width: int, scale: float) -> None:
    file = locator_file(tmp_path / "l.onnx", [(10, 10, 20, 16)])
    (face,) = locator(file).locate(np.zeros((height, width, 3), np.uint8))
    expected = [scale * number for number in (34, 32, 16, 20)]
    assert [face.left, face.top, face.width, face.height] == pytest.approx(expected, rel=0.02)
    wanted = np.array(expected[:2]) + UPRIGHT * expected[2:]
    np.testing.assert_allclose(face.points, wanted, rtol=0.02)


def test_of_two_boxes_over_one_face_the_surer_stays(tmp_path: Path) -> None:
    file = locator_file(tmp_path / "l.onnx", [(10, 10, 40, 40), (11, 10, 40, 40), (60, 100, 40, 40)])
    assert len(locator(file).locate(np.zeros((384, 640, 3), np.uint8))) == 2


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, 20_000), (20_000, 10), (1, 40_000)])
def test_any_size_of_picture_can_be_looked_at_and_cut(tmp_path: Path, height: int, width: int) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    (face,) = locator(locator_file(tmp_path / "l.onnx", [(10, 10, 40, 40)])).locate(image)
    assert chip(image, face.points, SIDE, 0.25).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize(("output", "value"), [(0, np.nan), (1, np.nan), (1, 2000.0), (2, np.inf), (3, np.nan)])
def test_what_is_no_number_is_an_error_and_no_face(tmp_path: Path, output: int, value: float) -> None:
    outputs = nothing()
    outputs[0][0, 0, 4, 4] = 0.9
    outputs[output][0, 0, 4, 4] = value
    with pytest.raises(ModelError, match="outputs: gave"):
        locator(outputs_file(tmp_path / "outputs.onnx", outputs)).locate(np.zeros((32, 32, 3), np.uint8))


@given(
    turn=st.floats(-math.pi, math.pi), scale=st.floats(0.05, 20), x=st.floats(-500, 500), y=st.floats(-500, 500)
)  # fmt: skip
def test_a_turn_scale_and_shift_is_found_again(turn: float, scale: float, x: float, y: float) -> None:
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    wanted = np.array([[cosine, -sine, x], [sine, cosine, y]])
    moved = UPRIGHT @ wanted[:, :2].T + wanted[:, 2]
    np.testing.assert_allclose(similarity(UPRIGHT, moved), wanted, atol=1e-6 * max(1.0, scale))


def test_points_that_are_one_point_still_give_a_chip() -> None:
    assert not chip(np.full((50, 50, 3), 255, np.uint8), np.full((5, 2), 1e9), SIDE, 0.25).any()


@pytest.mark.parametrize("size_px", [60, 150, 700, 1500])
@pytest.mark.parametrize("turn", [0, 30, -100])
def test_the_eyes_come_to_their_places(size_px: int, turn: float) -> None:
    """Two dots where the eyes are, in a large picture, turned: their middles in the chip."""
    image = np.zeros((2000, 2000, 3), np.uint8)
    around = cv2.getRotationMatrix2D((1000, 1000), turn, 1)
    places = np.array([[0.2161, 0.2105], [0.7839, 0.2105], [0.5, 0.5374], [0.261, 0.783], [0.739, 0.783]])
    points = ((places - 0.5) * size_px + 1000) @ around[:, :2].T + around[:, 2]
    for channel, (x, y) in enumerate(points[:2]):
        dot = np.zeros((2000, 2000), np.uint8)
        cv2.circle(dot, (round(16 * x), round(16 * y)), size_px, 255, -1, cv2.LINE_AA, 4)  # radius size / 16
        image[..., channel] = dot
    cut = chip(image, points, SIDE, 0.25).astype(float)
    grid = np.arange(SIDE)
    for channel, eye in enumerate(EYES):
        weights = cut[..., channel]
        middle = [(weights.sum(axis=axis) * grid).sum() / weights.sum() for axis in (0, 1)]
        np.testing.assert_allclose(middle, eye * SIDE, atol=0.15)


def test_a_box_is_told_as_far_as_it_is_in_the_picture() -> None:
    face = Face(left=-20, top=50, width=60, height=100, score=0.9, points=np.zeros((5, 2)))
    box = face.box((100, 200, 3))
    assert (box.x, box.y, box.w, box.h) == pytest.approx((0, 0.5, 0.2, 0.5))
    assert face.size_px == 60
