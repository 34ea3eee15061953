"""The detector of naked parts around its model: small real graphs with NudeNet's head, and the licence it asks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError

from streammon.detect.config import DetectConfig
from streammon.detect.nsfw.config import NudityConfig
from streammon.detect.nsfw.nudity import NudityDetector
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors, check_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import Session, open_session
from streammon.errors import ModelError, ModelMissing, StreammonError
from streammon.models.catalog import load_catalog
from tests.unit.test_detect_nsfw import frame

MODEL = load_catalog().get("nudenet-320n")
BREAST, COVERED, MALE_BREAST, ANUS = (
    MODEL.raw_labels.index(name)
    for name in ("FEMALE_BREAST_EXPOSED", "FEMALE_BREAST_COVERED", "MALE_BREAST_EXPOSED", "ANUS_EXPOSED")
)
ROOM = frame(np.full((180, 320, 3), 90, np.uint8))
"""Lies in the middle of the square input, with 70 pixels of black above and below."""

Seen = tuple[int, float, tuple[float, float, float, float]]
"""Class, score, and the box's centre and size in pixels of the input."""


def seeing(path: Path, seen: list[Seen], names: tuple[str, ...] = MODEL.raw_labels, classes: int = 18) -> Session:
    """An ONNX file that sees the same in every picture."""
    rows = np.zeros((1, 4 + classes, 8), np.float32)
    for column, (number, score, box) in enumerate(seen):
        rows[0, :4, column] = box
        rows[0, 4 + number, column] = score
    x = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, "H", "W"])
    y = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["N", 4 + classes, 8])
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "nothing"], ["zero4"]),
        helper.make_node("Squeeze", ["zero4", "last"], ["zero"]),
        helper.make_node("Add", ["zero", "rows"], ["output0"]),
    ]
    constants = [
        numpy_helper.from_array(np.zeros((), np.float32), "nothing"),
        numpy_helper.from_array(np.array([3], np.int64), "last"),
        numpy_helper.from_array(rows, "rows"),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "seeing", [x], [y], constants),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    helper.set_model_props(model, {"names": str(dict(enumerate(names)))})
    onnx.save(model, path)
    return open_session(path, "cpu")


def detector(path: Path, seen: list[Seen], config: NudityConfig | None = None) -> NudityDetector:
    return NudityDetector(seeing(path / "parts.onnx", seen), MODEL.label_map, config or NudityConfig())


def test_a_naked_part_is_told_where_it_is(tmp_path: Path) -> None:
    shown = detector(tmp_path, [(BREAST, 0.8, (160, 160, 32, 18))])
    shown.warm_up()
    (found,) = shown.detect([ROOM])
    assert [(one.label, round(one.score, 3), one.detector, one.model) for one in found] == [
        ("pornography.exposure.breast", 0.8, "nudity", "parts")
    ]
    box = found[0].box
    assert box is not None
    assert (box.x, box.y, box.w, box.h) == pytest.approx((0.45, 0.45, 0.1, 0.1))
    assert {label.rpartition(".")[2] for label in shown.labels} == {
        "breast", "genitals_female", "genitals_male", "buttocks", "anus",
    }  # fmt: skip


def test_what_is_covered_or_no_part_of_ours_raises_nothing(tmp_path: Path) -> None:
    seen: list[Seen] = [(COVERED, 0.9, (160, 160, 32, 18)), (MALE_BREAST, 0.9, (90, 160, 32, 18))]
    assert detector(tmp_path, seen).detect([ROOM]) == [()]


def test_each_part_has_a_floor_of_its_own(tmp_path: Path) -> None:
    seen: list[Seen] = [(BREAST, 0.4, (160, 160, 32, 18)), (ANUS, 0.24, (90, 160, 32, 18))]
    (found,) = detector(tmp_path, seen).detect([ROOM])
    assert [one.label for one in found] == ["pornography.exposure.breast"]
    config = NudityConfig.model_validate({"min_score": {"breast": 0.5, "anus": 0.2}})
    (found,) = detector(tmp_path, seen, config).detect([ROOM])
    assert [one.label for one in found] == ["pornography.exposure.anus"]


def test_what_lies_in_the_black_around_the_picture_is_none(tmp_path: Path) -> None:
    assert detector(tmp_path, [(BREAST, 0.8, (160, 30, 32, 18))]).detect([ROOM]) == [()]


def test_frames_keep_their_order_and_boxes_are_bounded(tmp_path: Path) -> None:
    seen: list[Seen] = [(BREAST, 0.3 + column / 20, (20 + 40 * column, 160, 30, 18)) for column in range(8)]
    tall = frame(np.zeros((400, 100, 3), np.uint8))
    wide, high = detector(tmp_path, seen, NudityConfig(max_boxes=3)).detect([ROOM, tall])
    assert [round(one.score, 2) for one in wide] == [0.65, 0.6, 0.55]
    assert len(high) == 0


@pytest.mark.parametrize("shape", [(1, 1), (20_000, 10), (10, 20_000)], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_no_shape_of_picture_is_too_odd(tmp_path: Path, shape: tuple[int, int]) -> None:
    found = detector(tmp_path, [(BREAST, 0.8, (160, 160, 300, 300))]).detect([frame(np.zeros((*shape, 3), np.uint8))])
    assert [one.label for one in found[0]] == ["pornography.exposure.breast"]


def test_a_score_that_is_no_number_is_an_error_and_no_label(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="parts: its scores go from nan"):
        detector(tmp_path, [(COVERED, float("nan"), (160, 160, 32, 18))]).detect([ROOM])


def test_a_model_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    lacking = seeing(tmp_path / "lacking.onnx", [], ("FACE", "FEMALE_BREAST_EXPOSED"), classes=2)
    with pytest.raises(ModelError, match=r"lacking: has no class .*ANUS_EXPOSED.*; its classes are FACE"):
        NudityDetector(lacking, MODEL.label_map, NudityConfig())


def test_a_model_that_says_more_than_it_names_is_refused(tmp_path: Path) -> None:
    wider = seeing(tmp_path / "wider.onnx", [], classes=20)
    with pytest.raises(ModelError, match=r"wider: says \(1, 24, 8\), not 1 x 22 x boxes"):
        NudityDetector(wider, MODEL.label_map, NudityConfig()).warm_up()


def test_without_its_licence_accepted_it_neither_passes_the_check_nor_starts() -> None:
    config = DetectConfig(provider="cpu")
    with pytest.raises(ValidationError, match=r"detect.nudity.accept_licence\n.*are under AGPL-3.0: set it to that"):
        check_detectors(["qr", "nudity"], config)
    check_detectors(["qr"], config)
    with pytest.raises(StreammonError, match=r"detect.nudity.accept_licence: .* AGPL-3.0"):
        build_detectors(["nudity"], parts(config))


def test_with_its_licence_accepted_only_its_weights_are_missing() -> None:
    config = DetectConfig.model_validate({"provider": "cpu", "nudity": {"accept_licence": "AGPL-3.0"}})
    check_detectors(["nudity"], config)
    with pytest.raises(ModelMissing, match="nudenet-320n is not in the store"):
        build_detectors(["nudity"], parts(config))


@pytest.mark.parametrize(
    "raw", [{"accept_licence": "MIT"}, {"min_score": {"belly": 0.5}}, {"min_score": {"anus": 2}}, {"max_boxes": 0}]
)
def test_settings_that_mean_nothing_are_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NudityConfig.model_validate(raw)


def parts(config: DetectConfig) -> Parts:
    def weights(model: str) -> Path:
        raise ModelMissing(f"{model} is not in the store")

    return Parts(weights=weights, label_maps={MODEL.name: MODEL.label_map}, config=config, runtime=Runtime(config))
