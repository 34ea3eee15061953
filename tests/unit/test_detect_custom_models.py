"""Operators' own models, on small real graphs whose box follows the brightest row and column of the input."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from streammon.detect.config import DetectConfig
from streammon.detect.custom.build import build_custom
from streammon.detect.custom.detector import CustomDetector
from streammon.detect.runtime.batches import gainful_batch
from streammon.detect.runtime.session import open_session
from streammon.entities import Frame, Moment
from streammon.errors import ModelCorrupt, ModelError, ModelMissing

SIDE = 64
BOX = 8.0
MAP = {"gun": "violence.weapon.gun"}
# What each head puts in a row for the box (x1, y1, x2, y2 or cx, cy, w, h), a score of 0.9, and class 1 of 2.
ROWS = {
    "v8": ("cx", "cy", "side", "side", "low", "high"),
    "v5": ("cx", "cy", "side", "side", "one", "low", "high"),
    "end_to_end": ("x1", "y1", "x2", "y2", "high", "one"),
    "flat_nms": ("zero", "x1", "y1", "x2", "y2", "one", "high"),
}
NUMBERS = {"side": BOX, "low": 0.1, "high": 0.9, "one": 1.0, "zero": 0.0}


def position(names: dict[str, str]) -> list[onnx.NodeProto]:
    """Nodes for `cx` and `cy`, N x 1: the brightest column and row, in pixels."""
    nodes = []
    for centre, axes in names.items():
        nodes += [
            helper.make_node("ReduceMean", ["x", axes], [f"{centre}_light"], keepdims=0),
            helper.make_node("ArgMax", [f"{centre}_light"], [f"{centre}_at"], axis=1, keepdims=1),
            helper.make_node("Cast", [f"{centre}_at"], [centre], to=TensorProto.FLOAT),
            helper.make_node("Sub", [centre, "half"], [f"{centre[1]}1"]),
            helper.make_node("Add", [centre, "half"], [f"{centre[1]}2"]),
        ]
    return nodes


def save(path: Path, nodes: list[onnx.NodeProto], outputs: list[str], layout: str, batch: int | str) -> Path:
    shape = [batch, 3, SIDE, SIDE] if layout == "nchw" else [batch, SIDE, SIDE, 3]
    rows, columns, colours = (2, 3, 1) if layout == "nchw" else (1, 2, 3)
    weights: dict[str, Any] = {
        "not_columns": np.array([colours, rows], np.int64), "not_rows": np.array([colours, columns], np.int64),
        "half": np.array(BOX / 2, np.float32), "last": np.array([2], np.int64), "middle": np.array([1], np.int64),
        "side_px": np.array(SIDE, np.float32),
    }  # fmt: skip
    nodes = position({"cx": "not_columns", "cy": "not_rows"}) + nodes
    zero = helper.make_node("Sub", ["cx", "cx"], ["nothing"])
    for name, number in NUMBERS.items():
        weights[f"{name}_number"] = np.array(number, np.float32)
    fills = [helper.make_node("Add", ["nothing", f"{name}_number"], [name]) for name in NUMBERS]
    count = len(position({"cx": "not_columns", "cy": "not_rows"}))
    graph = helper.make_graph(
        [*nodes[:count], zero, *fills, *nodes[count:]],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def yolo(path: Path, head: str, layout: str = "nchw", batch: int | str = "N") -> Path:
    axis = "last" if head == "v8" else "middle"
    nodes = [
        helper.make_node("Concat", list(ROWS[head]), ["row"], axis=1),
        helper.make_node("Unsqueeze", ["row", axis], ["out"]),
    ]
    return save(path, nodes, ["out"], layout, batch)


def detr(path: Path) -> Path:
    nodes = [
        helper.make_node("Div", ["cx", "side_px"], ["fx"]),
        helper.make_node("Div", ["cy", "side_px"], ["fy"]),
        helper.make_node("Div", ["side", "side_px"], ["fs"]),
        helper.make_node("Concat", ["fx", "fy", "fs", "fs"], ["box"], axis=1),
        helper.make_node("Unsqueeze", ["box", "middle"], ["pred_boxes"]),
        helper.make_node("Mul", ["high", "side"], ["logit"]),
        helper.make_node("Concat", ["low", "logit"], ["row"], axis=1),
        helper.make_node("Unsqueeze", ["row", "middle"], ["logits"]),
    ]
    return save(path, nodes, ["logits", "pred_boxes"], "nchw", "N")


def built(file: Path, **settings: Any) -> CustomDetector:
    section = {"file": str(file), "labels": ["cat", "gun"], "map": MAP, "kind": "yolo", **settings}
    config = DetectConfig.model_validate({"custom": {"mine": section}})
    return build_custom("mine", config.custom["mine"], lambda path: open_session(path, "cpu", 1))


def frame(x: int, y: int, width: int = 256, height: int = 128) -> Frame:
    """Black but for a bright row and column that cross at (x, y)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[y - 4 : y + 4] = image[:, x - 4 : x + 4] = 255
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def assert_found(detector: CustomDetector, spots: list[tuple[int, int]]) -> None:
    """A weapon about each cross's first pixel, as large as 8 pixels of a letterbox of 64 x 64 are."""
    detector.warm_up()
    for (x, y), found in zip(spots, detector.detect([frame(*spot) for spot in spots]), strict=True):
        (one,) = found
        assert one.box is not None
        assert (one.label, round(one.score, 3)) == ("violence.weapon.gun", 0.9)
        assert one.box.x + one.box.w / 2 == pytest.approx((x - 4) / 256, abs=1e-5)
        assert one.box.y + one.box.h / 2 == pytest.approx((y - 4) / 128, abs=1e-5)
        assert (one.box.w, one.box.h) == pytest.approx((32 / 256, 32 / 128), abs=0.001)


SPOTS = [(60, 40), (200, 80), (128, 64), (60, 92), (180, 32)]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("batch", ["N", 1, 4])
@pytest.mark.parametrize("head", ROWS)
def test_boxes_are_fractions_of_the_frame(tmp_path: Path, head: str, layout: str, batch: int | str) -> None:
    file = yolo(tmp_path / "m.onnx", head, layout, batch)
    assert_found(built(file, head=head, input={"pad": 0}), SPOTS)


@pytest.mark.parametrize("head", ["v8", "end_to_end"])
def test_a_head_is_known_by_its_shape(tmp_path: Path, head: str) -> None:
    settings = {"labels": ["cat", "gun", "dog"], "head": "end_to_end"} if head == "end_to_end" else {}
    assert built(yolo(tmp_path / "m.onnx", head), **settings).labels == {"violence.weapon.gun"}


def test_a_transformer_s_boxes_are_too(tmp_path: Path) -> None:
    (found,) = built(detr(tmp_path / "m.onnx"), kind="detr", min_score=0.7).detect([frame(60, 40)])
    (one,) = found
    assert one.box is not None
    assert one.box.x + one.box.w / 2 == pytest.approx(56 / 256, abs=1e-5)
    assert one.box.y + one.box.h / 2 == pytest.approx(36 / 128, abs=1e-5)


def test_a_classifier_is_about_the_whole(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["low", "high"], ["out"], axis=1)]
    file = save(tmp_path / "m.onnx", nodes, ["out"], "nchw", "N")
    (found,) = built(file, kind="classifier", activation="none").detect([frame(60, 40)])
    assert [(one.label, one.box, round(one.score, 3)) for one in found] == [("violence.weapon.gun", None, 0.9)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"labels": ["cat"]}, r"map\.gun: the model has no class 'gun' for violence\.weapon\.gun"),
        (
            {"labels": ["cat", "gun", "dog"]},
            r"detect\.custom\.mine\.head: no known head of 3 classes fits out",
        ),
        ({"labels": None}, r"mine\.labels: is required"),
        ({"sha256": "0" * 64}, r"mine\.sha256: .* has [0-9a-f]{64}"),
        ({"input": {"size": 32}}, r"mine\.input\.size: is 32 x 32, but the graph takes 64 x 64 only"),
        ({"input": {"layout": "nhwc"}}, r"mine\.input\.layout: is nhwc"),
        ({"thresholds": {"cat": 0.5}}, r"mine\.thresholds\.cat: stands for nothing"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        built(yolo(tmp_path / "m.onnx", "v8"), **settings)


def test_a_head_that_could_be_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="head: set one of v5, flat_nms"):
        built(yolo(tmp_path / "m.onnx", "v5"))


def test_a_file_that_is_not_there_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"detect\.custom\.mine\.file: .* is not there"):
        built(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelCorrupt, match=r"detect\.custom\.mine\.file"):
        built(tmp_path / "broken.onnx")


def test_the_right_hash_is_accepted(tmp_path: Path) -> None:
    file = yolo(tmp_path / "m.onnx", "v8")
    assert built(file, sha256=hashlib.sha256(file.read_bytes()).hexdigest()).name == "mine"


def test_an_unknown_label_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"custom\.mine\.map\.gun(.|\n)*the nearest is violence\.weapon"):
        built(tmp_path / "m.onnx", map={"gun": "violence.weapons"})


def test_frames_come_by_as_many_as_pay_on_the_provider_unless_the_operator_or_the_graph_says_otherwise(
    tmp_path: Path,
) -> None:
    free, fixed = yolo(tmp_path / "free.onnx", "v8"), yolo(tmp_path / "fixed.onnx", "v8", batch=4)
    assert built(free).max_batch == gainful_batch("cpu") == 1
    assert built(free, max_batch=3).max_batch == 3
    assert built(fixed).max_batch == 4
    assert gainful_batch("cuda") > 1
