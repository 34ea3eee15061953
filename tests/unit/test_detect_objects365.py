"""The detector of Objects365's things, on a small real graph with D-FINE's input, outputs and number of classes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from pydantic import ValidationError

from streammon.detect.config import DetectConfig
from streammon.detect.custom.config import Objects365Config
from streammon.detect.custom.detector import CustomDetector
from streammon.detect.custom.objects365 import build_objects365
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import open_session
from streammon.entities import Frame, Moment
from streammon.errors import ModelError
from streammon.models.catalog import load_catalog

MODEL = load_catalog().get("dfine-s-objects365")
# What the pinned model's configuration says, read apart from the list of all names.
NUMBERS = {"Bottle": 9, "Flag": 28, "Wine Glass": 36, "Knife": 85, "Gun": 148, "Cigar/Cigarette": 197,
           "Poker Card": 277, "Lighter": 333}  # fmt: skip
LOGIT = 2.0
SCORE = 1 / (1 + np.exp(-LOGIT))


def graph(path: Path, names: dict[int, str], classes: int = 366, batch: int | str = 1) -> Path:
    """Query q sees `names[q]` in a box of a tenth, half way down, as far right as the picture is bright."""
    logits = np.full((1, 300, classes), -9.0, np.float32)
    for query, name in names.items():
        logits[0, query, NUMBERS[name]] = LOGIT
    rest = np.tile(np.array([0.5, 0.1, 0.1], np.float32), (1, 300, 1))
    weights: dict[str, Any] = {
        "l": logits, "r": rest, "zero": np.array(0, np.float32), "all": np.array([1, 2, 3], np.int64),
        "column": np.zeros((1, 300, 1), np.float32), "axes": np.array([1, 2], np.int64),
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values", "all"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axes"], ["seen"]),
        helper.make_node("Add", ["column", "seen"], ["x"]),
        helper.make_node("Concat", ["x", "r"], ["pred_boxes"], axis=2),
        helper.make_node("Mul", ["seen", "zero"], ["nothing"]),
        helper.make_node("Add", ["l", "nothing"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [batch, 3, 640, 640])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 300, classes]),
         helper.make_tensor_value_info("pred_boxes", TensorProto.FLOAT, [1, 300, 4])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def built(file: Path, **config: Any) -> CustomDetector:
    settings = Objects365Config.model_validate(config)
    return build_objects365(
        file, MODEL.raw_labels, MODEL.label_map, settings, lambda path: open_session(path, "cpu", 1)
    )


def frame(level: int) -> Frame:
    image = np.full((360, 1280, 3), level, np.uint8)
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=1280, height=360, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def test_the_catalogue_s_classes_stand_where_the_model_has_them() -> None:
    assert {name: MODEL.raw_labels.index(name) for name in NUMBERS} == NUMBERS
    assert len(MODEL.raw_labels) == len(set(MODEL.raw_labels)) == 366


@pytest.mark.parametrize("batch", [1, "N"])
def test_each_thing_raises_its_label_where_it_is(tmp_path: Path, batch: int | str) -> None:
    seen = dict(enumerate(NUMBERS))
    detector = built(graph(tmp_path / "dfine.onnx", seen, batch=batch))
    detector.warm_up()
    (left, right) = detector.detect([frame(51), frame(204)])
    assert sorted(str(one.label) for one in left) == [
        "prohibited.gambling", "values.drinking", "values.drinking", "values.smoking",
        "violence.weapon.gun", "violence.weapon.knife",
    ]  # fmt: skip
    for found, x in ((left, 0.2), (right, 0.8)):
        for one in found:
            assert one.box is not None
            assert (one.detector, one.model, round(one.score, 4)) == ("objects365", "dfine", round(SCORE, 4))
            assert one.box.x + one.box.w / 2 == pytest.approx(x, abs=5e-3)  # a mean of a million float32
            assert (one.box.y, one.box.w, one.box.h) == pytest.approx((0.45, 0.1, 0.1), abs=1e-3)


def test_an_operator_s_map_and_thresholds_take_the_place_of_the_catalogue_s(tmp_path: Path) -> None:
    file = graph(tmp_path / "dfine.onnx", dict(enumerate(NUMBERS)))
    (found,) = built(file, map={"Flag": "politics.flag", "Gun": "violence.weapon.gun"}).detect([frame(51)])
    assert sorted(str(one.label) for one in found) == ["politics.flag", "violence.weapon.gun"]
    (found,) = built(file, thresholds={"Gun": 0.95}).detect([frame(51)])
    assert "violence.weapon.gun" not in {one.label for one in found}
    assert built(file, min_score=0.9).detect([frame(51)]) == [()]


@pytest.mark.parametrize("config", [{"map": {"Guns": "violence.weapon.gun"}}, {"thresholds": {"Guns": 0.5}}])
def test_a_class_that_there_is_not_is_named(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"detect\.objects365: there is no class Guns"):
        built(graph(tmp_path / "dfine.onnx", {}), **config)


def test_a_graph_of_other_classes_is_refused_by_its_own_section_s_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^detect\.objects365\.labels: names 366 classes, and .* has 365"):
        built(graph(tmp_path / "dfine.onnx", {}, classes=365))


def test_logits_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    file = graph(tmp_path / "dfine.onnx", {})
    model = onnx.load(file)
    (logits,) = (one for one in model.graph.initializer if one.name == "zero")
    logits.CopyFrom(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), "zero"))
    onnx.save(model, file)
    with pytest.raises(ModelError, match=r"detect\.objects365: its logits are not numbers|logits are not numbers"):
        built(file).detect([frame(51)])


def test_it_is_built_by_its_name(tmp_path: Path) -> None:
    file = graph(tmp_path / "dfine-s-objects365.onnx", {0: "Knife"})
    config = DetectConfig.model_validate({"provider": "cpu", "objects365": {"min_score": 0.5}})
    parts = Parts(
        weights={MODEL.name: file}.__getitem__, label_maps={MODEL.name: MODEL.label_map},
        classes={MODEL.name: MODEL.raw_labels}, config=config, runtime=Runtime(config),
    )  # fmt: skip
    (detector,) = build_detectors(["objects365"], parts)
    assert (detector.name, detector.model) == ("objects365", MODEL.name)
    assert [one.label for one in detector.detect([frame(51)])[0]] == ["violence.weapon.knife"]
    detector.close()


def test_a_label_that_is_not_in_the_taxonomy_is_told_by_its_key() -> None:
    with pytest.raises(ValidationError, match=r"objects365\.map\.Gun"):
        DetectConfig.model_validate({"objects365": {"map": {"Gun": "violence.guns"}}})
