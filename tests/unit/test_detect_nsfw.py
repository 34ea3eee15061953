"""The classifier around its models: the resize against the formula, small real graphs as voices, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import ArrayLike, NDArray

from streammon.detect.nsfw.config import NsfwConfig
from streammon.detect.nsfw.detector import NsfwDetector
from streammon.detect.nsfw.nsfwjs import resize_align_corners
from streammon.detect.runtime.session import Session, open_session
from streammon.entities import Frame, Image, Moment, Source
from streammon.errors import ModelError

CLASSES = "Drawing,Hentai,Neutral,Porn,Sexy"
EVERYTHING = NsfwConfig(min_score=0.0)


def frame(image: Image) -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def plain(red: int, green: int, blue: int) -> Frame:
    return frame(np.full((40, 60, 3), (red, green, blue), np.uint8))


def linear(path: Path, weights: NDArray[np.float32], side: int, labels: str, bias: ArrayLike = 0.0) -> Session:
    """An ONNX file: the picture's mean red, green and blue (as the model gets them) times `weights`, plus `bias`."""
    x = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["N", side, side, 3])
    y = onnx.helper.make_tensor_value_info("probs", onnx.TensorProto.FLOAT, ["N", weights.shape[1]])
    nodes = [
        onnx.helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2], keepdims=0),
        onnx.helper.make_node("MatMul", ["mean", "weights"], ["weighed"]),
        onnx.helper.make_node("Add", ["weighed", "bias"], ["probs"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(weights.astype(np.float32), "weights"),
        onnx.numpy_helper.from_array(np.asarray(bias, np.float32), "bias"),
    ]
    graph = onnx.helper.make_graph(nodes, "linear", [x], [y], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"labels": labels})
    onnx.save(model, path)
    return open_session(path, "cpu")


@pytest.fixture
def first(tmp_path: Path) -> Session:
    """Says Porn as the picture is red, Sexy as it is green, Hentai as it is blue; never Drawing, never Neutral."""
    weights = np.zeros((3, 5), np.float32)
    weights[0, 3] = weights[1, 4] = weights[2, 1] = 1.0
    return linear(tmp_path / "first.onnx", weights, 32, CLASSES)


@pytest.fixture
def second(tmp_path: Path) -> Session:
    """Says not safe as the picture is red: its input is BGR with the mean taken off."""
    weights = np.zeros((3, 2), np.float32)
    weights[2] = [-1 / 255, 1 / 255]
    bias = np.array([1 - 123 / 255, 123 / 255], np.float32)
    return linear(tmp_path / "second.onnx", weights, 224, "sfw,nsfw", bias)


def scores(detector: NsfwDetector, shown: Frame) -> Mapping[str | None, float]:
    (found,) = detector.detect([shown])
    return {one.label: one.score for one in found}


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


def test_both_voices_speak_on_one_picture(first: Session, second: Session) -> None:
    said = scores(NsfwDetector(first, second, EVERYTHING), plain(204, 0, 0))
    # 0.8 of each voice, the second after a JPEG.
    assert said == {"pornography.adult": pytest.approx(0.8, abs=0.01), "sexy.vulgar": 0.0}


def test_the_first_voice_alone_is_believed_less(first: Session) -> None:
    detector = NsfwDetector(first, None, EVERYTHING)
    assert scores(detector, plain(204, 0, 0))["pornography.adult"] == pytest.approx(0.85 * 0.8, abs=1e-4)
    assert detector.model == "first"


def test_a_drawing_raises_the_labels_of_drawings(first: Session, second: Session) -> None:
    detector = NsfwDetector(first, second, NsfwConfig(min_score=0.05))
    assert scores(detector, plain(0, 0, 204)) == {"pornography.cartoon": pytest.approx(0.85 * 0.8, abs=0.01)}


def test_what_is_below_the_floor_is_not_told(first: Session, second: Session) -> None:
    detector = NsfwDetector(first, second, NsfwConfig(min_score=0.75))
    (found,) = detector.detect([plain(204, 0, 0)])
    assert [(d.label, d.detector, d.model, d.source, d.box) for d in found] == [
        ("pornography.adult", "nsfw", "first+second", Source.VISUAL, None)
    ]
    assert detector.detect([plain(180, 0, 0)]) == [()]
    assert detector.labels == {"pornography.adult", "pornography.cartoon", "sexy.vulgar", "sexy.cartoon"}


def test_frames_keep_their_order_across_batches(first: Session, second: Session) -> None:
    detector = NsfwDetector(first, second, EVERYTHING)
    detector.warm_up()
    reds = [10, 120, 30, 40, 90, 60]
    found = detector.detect([plain(red, 0, 0) for red in reds])
    said = [{d.label: d.score for d in of_frame}["pornography.adult"] for of_frame in found]
    assert [round(score * 255) for score in said] == pytest.approx(reds, abs=2)
    assert detector.detect([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (20_000, 10), (10, 20_000), (3, 4000)], ids=lambda s: f"{s[0]}x{s[1]}")
def test_no_shape_of_picture_is_too_odd(first: Session, second: Session, shape: tuple[int, int]) -> None:
    detector = NsfwDetector(first, second, EVERYTHING)
    said = scores(detector, frame(np.full((*shape, 3), (204, 0, 0), np.uint8)))
    assert said["pornography.adult"] == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("bias", [np.nan, 2.0, -1.0], ids=["NaN", "too much", "too little"])
@pytest.mark.parametrize("voice", ["first", "second"])
def test_what_is_no_probability_is_an_error_and_no_label(
    tmp_path: Path, first: Session, second: Session, voice: str, bias: float
) -> None:
    if voice == "first":
        first = linear(tmp_path / "broken.onnx", np.zeros((3, 5), np.float32), 32, CLASSES, bias)
    else:
        second = linear(tmp_path / "broken.onnx", np.zeros((3, 2), np.float32), 224, "sfw,nsfw", bias)
    with pytest.raises(ModelError, match=r"broken: says .* not 0 to 1"):
        NsfwDetector(first, second, EVERYTHING).detect([plain(0, 0, 0)])


def test_a_model_that_lacks_a_class_is_refused(tmp_path: Path) -> None:
    lacking = linear(tmp_path / "lacking.onnx", np.zeros((3, 3), np.float32), 32, "Neutral,Porn,Sexy")
    with pytest.raises(ModelError, match="lacking: has no class Drawing, Hentai; its classes are Neutral, Porn, Sexy"):
        NsfwDetector(lacking, None, EVERYTHING)


def test_a_model_that_says_more_than_it_names_is_refused(tmp_path: Path) -> None:
    wider = linear(tmp_path / "wider.onnx", np.zeros((3, 6), np.float32), 32, CLASSES)
    with pytest.raises(ModelError, match=r"wider: says \(1, 6\), not 1 x 5"):
        NsfwDetector(wider, None, EVERYTHING).detect([plain(0, 0, 0)])


def test_a_second_voice_of_another_shape_is_refused(tmp_path: Path, first: Session) -> None:
    other = linear(tmp_path / "other.onnx", np.zeros((3, 2), np.float32), 128, "sfw,nsfw")
    with pytest.raises(ModelError, match=r"other: its input is \(None, 128, 128, 3\), not N x 224 x 224 x 3"):
        NsfwDetector(first, other, EVERYTHING)


def test_a_closed_detector_says_so(first: Session, second: Session) -> None:
    detector = NsfwDetector(first, second, EVERYTHING)
    detector.close()
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect([plain(0, 0, 0)])
    with pytest.raises(ModelError, match="second: its session is closed"):
        second.run({})
