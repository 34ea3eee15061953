"""The classifier around the model: its resize against the formula, and which probabilities become detections."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest

from streammon.detect.detectors.config import NsfwConfig
from streammon.detect.detectors.nsfw import NsfwDetector, resize_align_corners
from streammon.detect.runtime.session import open_session
from streammon.entities import Frame, Image, Moment, Source
from streammon.errors import ModelError

LABELS = {"Porn": "pornography.adult", "Sexy": "sexy.vulgar"}


def frame(image: Image) -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def plain(red: int, green: int, blue: int) -> Frame:
    return frame(np.full((40, 60, 3), (red, green, blue), np.uint8))


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """An ONNX file whose three classes' probabilities are the picture's mean red, green and blue."""
    x = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["N", 299, 299, 3])
    y = onnx.helper.make_tensor_value_info("probs", onnx.TensorProto.FLOAT, ["N", 3])
    node = onnx.helper.make_node("ReduceMean", ["input"], ["probs"], axes=[1, 2], keepdims=0)
    graph = onnx.helper.make_graph([node], "colours", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"labels": "Neutral,Porn,Sexy"})
    path = tmp_path / "colours.onnx"
    onnx.save(model, path)
    return path


def reference_resize(image: Image, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Bilinear with corners aligned, pixel by pixel, in double precision."""
    height, width = image.shape[:2]
    out = np.zeros((side, side, 3))
    for row in range(side):
        y = row * (height - 1) / (side - 1)
        y0, y1 = int(y), min(int(y) + 1, height - 1)
        for column in range(side):
            x = column * (width - 1) / (side - 1)
            x0, x1 = int(x), min(int(x) + 1, width - 1)
            top = image[y0, x0] * (1 - (x - x0)) + image[y0, x1] * (x - x0)
            bottom = image[y1, x0] * (1 - (x - x0)) + image[y1, x1] * (x - x0)
            out[row, column] = top * (1 - (y - y0)) + bottom * (y - y0)
    return out


@pytest.mark.parametrize(
    "shape", [(72, 128), (9, 7), (1, 1), (2, 1000), (1000, 2), (31, 31)], ids=lambda shape: f"{shape[0]}x{shape[1]}"
)
def test_the_resize_is_the_formula(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)
    assert np.abs(resize_align_corners(image, 31) - reference_resize(image, 31)).max() < 0.05


def test_the_resize_keeps_the_corners() -> None:
    image = np.random.default_rng(8).integers(0, 256, (720, 1280, 3), np.uint8)
    small = resize_align_corners(image, 299)
    assert small.shape == (299, 299, 3)
    for row, column in [(0, 0), (0, -1), (-1, 0), (-1, -1)]:
        assert small[row, column] == pytest.approx(image[row, column], abs=0.1)


def test_each_labelled_class_above_the_floor_is_a_detection(colours: Path) -> None:
    detector = NsfwDetector(open_session(colours, "cpu"), LABELS, NsfwConfig(min_score=0.25))
    (found,) = detector.detect([plain(255, 128, 51)])
    assert [(d.label, round(d.score, 2)) for d in found] == [("pornography.adult", 0.5)]
    assert {(d.detector, d.model, d.source, d.box) for d in found} == {("nsfw", "colours", Source.VISUAL, None)}
    assert detector.labels == {"pornography.adult", "sexy.vulgar"}


def test_frames_keep_their_order_across_batches(colours: Path) -> None:
    detector = NsfwDetector(open_session(colours, "cpu"), LABELS, NsfwConfig(min_score=0.0))
    detector.warm_up()
    greens = [10, 250, 30, 40, 90, 200]
    found = detector.detect([plain(0, green, 0) for green in greens])
    assert [round(of_frame[0].score * 255) for of_frame in found] == greens
    assert detector.detect([]) == []


def test_a_label_for_a_class_the_model_lacks_is_refused(colours: Path) -> None:
    with pytest.raises(ModelError, match="colours: has no class Hentai; its classes are Neutral, Porn, Sexy"):
        NsfwDetector(open_session(colours, "cpu"), {"Hentai": "pornography.cartoon"}, NsfwConfig())


def test_a_closed_detector_says_so(colours: Path) -> None:
    detector = NsfwDetector(open_session(colours, "cpu"), LABELS, NsfwConfig())
    detector.close()
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect([plain(0, 0, 0)])
