"""The detector of gestures, on small real graphs: where hands are is fixed, a gesture is the colour of its part."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from streammon.detect.hands.config import GestureConfig
from streammon.detect.hands.gesture import GestureDetector
from streammon.detect.hands.locator import Hand
from streammon.detect.runtime.session import open_session
from streammon.entities import Frame, Image, Moment
from streammon.errors import ModelError

CLASSES = ("fist", "ok", "middle_finger")
LABELS = {"middle_finger": "values.middle_finger"}
# x1, y1, x2, y2 in fractions of the picture, and how surely each is a hand.
HANDS = [[0.5, 0.25, 0.75, 0.75], [0.0, 0.0, 0.05, 0.05], [0.6, 0.6, 0.6, 0.9]]
SCORES = [0.9, 0.95, 0.99]


def save(
    path: Path, nodes: list[Any], weights: dict[str, Any], outputs: Sequence[tuple[str, int, Any]], size: Any
) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, *size])],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def locator(path: Path, hands: list[list[float]] = HANDS, scores: list[float] = SCORES) -> Path:
    """As dynamic_gestures' detector: boxes, labels and scores of one picture. These do not depend on it."""
    weights = {
        "none": np.array(0, np.float32), "b": np.array(hands, np.float32).reshape(-1, 4),
        "s": np.array(scores, np.float32), "l": np.array([1], np.int64), "all": np.array([0, 1, 2, 3], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["input", "all"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["nothing"]),
        helper.make_node("Add", ["b", "nothing"], ["boxes"]),
        helper.make_node("Identity", ["l"], ["labels"]),
        helper.make_node("Add", ["s", "nothing"], ["scores"]),
    ]
    outputs = [("boxes", TensorProto.FLOAT, ["n", 4]), ("labels", TensorProto.INT64, [1]),
               ("scores", TensorProto.FLOAT, ["n"])]  # fmt: skip
    return save(path, nodes, weights, outputs, (240, 320))


def classifier(path: Path, logits: float = 20.0) -> Path:
    """As its classifier: each class's logit is how much of one colour there is, red, green and blue."""
    weights = {"sides": np.array([2, 3], np.int64), "times": np.array(logits, np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["input", "sides"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "times"], ["labels"]),
    ]
    return save(path, nodes, weights, [("labels", TensorProto.FLOAT, ["N", 3])], (128, 128))


def built(tmp_path: Path, hands: Path | None = None, gestures: Path | None = None, **config: Any) -> GestureDetector:
    files = (hands or locator(tmp_path / "hands.onnx"), gestures or classifier(tmp_path / "gestures.onnx"))
    sessions = [open_session(file, "cpu", 1) for file in files]
    return GestureDetector(sessions[0], sessions[1], CLASSES, LABELS, GestureConfig(**config))


def frame(image: Image) -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def scene(colour: tuple[int, int, int], width: int = 1280, height: int = 720) -> Frame:
    """Grey, but for the first hand's square, which is one colour."""
    image = np.full((height, width, 3), 127, np.uint8)
    image[height // 4 : 3 * height // 4, 450 * width // 1280 : 1150 * width // 1280] = colour
    return frame(image)


def test_a_large_hand_s_gesture_is_told_with_its_box_and_both_models_doubt(tmp_path: Path) -> None:
    detector = built(tmp_path)
    detector.warm_up()
    finger, fist = detector.detect([scene((0, 0, 255)), scene((255, 0, 0))])
    (one,) = finger
    assert one.box is not None
    assert (one.label, one.model) == ("values.middle_finger", "gestures")
    assert one.score == pytest.approx(0.9, abs=1e-3)
    assert (one.box.x, one.box.y, one.box.w, one.box.h) == pytest.approx((0.5, 0.25, 0.25, 0.5), abs=0.001)
    assert fist == ()


def test_small_hands_are_not_looked_at(tmp_path: Path) -> None:
    assert built(tmp_path, min_hand_px=361).detect([scene((0, 0, 255))]) == [()]
    assert len(built(tmp_path, min_hand_px=360).detect([scene((0, 0, 255))])[0]) == 1
    assert built(tmp_path).detect([scene((0, 0, 255), width=160, height=90)]) == [()]


def test_what_is_hardly_a_hand_is_not_looked_at(tmp_path: Path) -> None:
    assert built(tmp_path, min_hand_score=0.91).detect([scene((0, 0, 255))]) == [()]


def test_only_so_many_hands_are_looked_at_the_largest_first(tmp_path: Path) -> None:
    many = locator(tmp_path / "many.onnx", [[0.0, 0.0, 0.2, 0.2]] * 6 + [[0.5, 0.25, 0.75, 0.75]], [0.9] * 7)
    (found,) = built(tmp_path, many, max_hands=1).detect([scene((0, 0, 255))])
    assert [round(one.box.h, 2) for one in found if one.box is not None] == [0.5]


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 2), (37, 41)])
def test_odd_pictures_give_no_gesture_and_no_error(tmp_path: Path, shape: tuple[int, int]) -> None:
    detector = built(tmp_path, min_hand_px=16)
    assert len(detector.detect([frame(np.zeros((*shape, 3), np.uint8))])) == 1


def test_no_hands_at_all(tmp_path: Path) -> None:
    assert built(tmp_path, locator(tmp_path / "none.onnx", [], [])).detect([scene((0, 0, 255))]) == [()]


def test_numbers_that_are_none_are_an_error_and_no_gesture(tmp_path: Path) -> None:
    nan = float("nan")
    with pytest.raises(ModelError, match="boxes are not numbers"):
        built(tmp_path, locator(tmp_path / "h.onnx", [[nan, 0, 1, 1]], [0.9])).detect([scene((0, 0, 255))])
    with pytest.raises(ModelError, match="boxes are not numbers"):
        built(tmp_path, locator(tmp_path / "h.onnx", [[0, 0, 1, 1]], [nan])).detect([scene((0, 0, 255))])
    with pytest.raises(ModelError, match="no numbers"):
        built(tmp_path, gestures=classifier(tmp_path / "g.onnx", nan)).detect([scene((0, 0, 255))])


def test_a_classifier_of_other_classes_is_refused(tmp_path: Path) -> None:
    files = (locator(tmp_path / "hands.onnx"), classifier(tmp_path / "gestures.onnx"))
    sessions = [open_session(file, "cpu", 1) for file in files]
    detector = GestureDetector(sessions[0], sessions[1], (*CLASSES, "four"), LABELS, GestureConfig())
    with pytest.raises(ModelError, match="answers 4 x 3 for 4 x 4"):
        detector.warm_up()


@pytest.mark.parametrize(
    ("hand", "shape"),
    [((100, 50, 140, 150), (100, 100)), ((50, 100, 150, 140), (100, 100)), ((0, 0, 20, 100), (100, 60))],
)
def test_the_crop_is_square_but_for_the_picture_s_edges(
    hand: tuple[int, int, int, int], shape: tuple[int, int]
) -> None:
    x1, y1, x2, y2 = hand
    cut = Hand(x1=x1, y1=y1, x2=x2, y2=y2, score=1.0).square(np.zeros((200, 300, 3), np.uint8))
    assert cut.shape[:2] == shape
