"""The detector of objects around its model: where boxes are, which of them stay, what scores mean, odd outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from streammon.detect.calibration import calibrated
from streammon.detect.objects.config import ObjectsConfig
from streammon.detect.objects.detector import ObjectsDetector
from streammon.detect.objects.places import centres, corners
from streammon.detect.objects.reading import Reading
from streammon.detect.runtime.session import open_session
from streammon.entities import Frame
from streammon.errors import ModelError
from streammon.models.catalog import load_catalog
from tests.unit.small_nets import frame_of, pixel_net

MODEL = load_catalog().get("nanodet-coco")
PLACES, CLASSES, SIDE = 3549, 80, 416
KNIFE, BOTTLE = MODEL.raw_labels.index("knife"), MODEL.raw_labels.index("bottle")


def outputs() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((1, PLACES, CLASSES), np.float32), np.zeros((1, PLACES, 44), np.float32)


def reading(min_score: float = 0.35, most: int = 20) -> Reading:
    columns, thresholds = np.array([KNIFE, BOTTLE]), np.array([0.3, 0.5], np.float32)
    return Reading(columns=columns, thresholds=thresholds, min_score=min_score, most=most)


def test_the_grids_stand_one_behind_the_other() -> None:
    points, strides = centres()
    assert points.shape == (PLACES, 2)
    assert [points[n].tolist() for n in (0, 1, 52, 52 * 52, 52 * 52 + 26 * 26)] == [
        [4, 4], [12, 4], [4, 12], [8, 8], [16, 16],
    ]  # fmt: skip
    assert [strides[n] for n in (0, 2703, 2704, 3379, 3380, 3548)] == [8, 8, 16, 16, 32, 32]


def test_a_side_is_the_mean_of_its_bins() -> None:
    raw = np.full((1, 4, 11), -50, np.float32)
    for side, distance in enumerate((1, 2, 3, 10)):
        raw[0, side, distance] = 50
    raw[0, 0, 2] = 50  # left: one and two strides are as likely as each other
    (found,) = corners(raw.reshape(1, 44), np.array([[100, 200]], np.float32), np.array([8], np.float32))
    np.testing.assert_allclose(found, [100 - 12, 200 - 16, 100 + 24, 200 + 80], rtol=1e-6)


def test_a_threshold_comes_out_as_the_score_for_review() -> None:
    raw = np.array([[0, 0.15, 0.3, 0.65, 1]], np.float32).T
    scores = calibrated(raw, np.array([0.3], np.float32))[:, 0]
    np.testing.assert_allclose(scores, [0, 0.35, 0.7, 0.85, 1], atol=1e-6)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -0.1, 1.1])
def test_a_score_that_is_none_is_an_error(odd: float) -> None:
    scores, distances = outputs()
    scores[0, 7, KNIFE] = odd
    with pytest.raises(ModelError, match="not from 0 to 1"):
        reading().read(scores, distances)


def test_a_box_that_is_no_number_is_an_error() -> None:
    scores, distances = outputs()
    scores[0, 7, KNIFE], distances[0, 7, 3] = 0.9, np.nan
    with pytest.raises(ModelError, match="no number"):
        reading().read(scores, distances)


def test_of_boxes_that_overlap_the_surest_of_a_class_stays() -> None:
    scores, distances = outputs()
    scores[0, 1000, KNIFE], scores[0, 1001, KNIFE], scores[0, 1001, BOTTLE] = 0.4, 0.8, 0.9
    scores[0, 2000, KNIFE], scores[0, 2001, KNIFE] = 0.35, 0.1
    (found,) = reading().read(scores, distances)
    assert found.classes.tolist() == [1, 0, 0]
    np.testing.assert_allclose(found.scores, [0.94, 0.914, 0.721], atol=1e-3)
    # Nothing is known of a side: it is as likely to be at every distance, so 5 strides away.
    np.testing.assert_allclose(found.corners[1, 2:] - found.corners[1, :2], [80, 80], rtol=1e-5)
    (one,) = reading(most=1).read(scores, distances)
    assert one.classes.tolist() == [1]


def test_a_picture_full_of_things_takes_no_time() -> None:
    scores, distances = outputs()
    scores[...] = np.random.default_rng(1).uniform(0.3, 1, scores.shape)
    (found,) = reading().read(scores, distances)
    assert 0 < len(found.scores) <= 20


@pytest.fixture
def detector(tmp_path: Path) -> ObjectsDetector:
    """Scores are the pixels / 255, of blue's plane first; of boxes nothing is known."""
    shapes = {"scores": (PLACES, CLASSES), "distances": (PLACES, 44)}
    net = pixel_net(tmp_path / "net.onnx", SIDE, shapes, labels=",".join(MODEL.raw_labels), gain=1 / 255)
    return ObjectsDetector(open_session(net, "cpu"), MODEL.label_map, ObjectsConfig())


def shown(place: int, number: int, level: int, height: int = SIDE) -> Frame:
    image = np.zeros((height, SIDE, 3), np.uint8)
    row, column = divmod(place * CLASSES + number, SIDE)
    image[row - (SIDE - height) // 2, column, 2] = level  # blue is the model's first plane
    return frame_of(image)


def test_a_frame_is_shown_in_its_shape_and_boxes_are_fractions_of_it(detector: ObjectsDetector) -> None:
    detector.warm_up()
    place = 52 * 20 + 25  # its centre is at 204, 164
    frames = [shown(place, KNIFE, 255, height=312), shown(place, KNIFE, 0), shown(place, BOTTLE, 255)]
    frames += [shown(place, MODEL.raw_labels.index("person"), 255)] * 3
    knife, nothing, bottle, *people = detector.detect(frames)
    (found,) = knife
    assert (found.label, found.score, found.detector) == ("violence.weapon.knife", 1.0, "objects")
    assert found.box is not None
    box = [found.box.x * 416, found.box.y * 312, found.box.w * 416, found.box.h * 312]
    assert box == pytest.approx([204 - 40, 164 - 40 - 52, 80, 80], abs=0.5)
    assert [one.label for one in bottle] == ["values.drinking"]
    assert (nothing, people) == ((), [()] * 3)
    assert detector.detect([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (20000, 10), (10, 20000)])
def test_odd_shapes_are_shown_too(detector: ObjectsDetector, shape: tuple[int, int]) -> None:
    detector.detect([frame_of(np.full((*shape, 3), 9, np.uint8))])


def test_a_class_without_a_threshold_is_refused(detector: ObjectsDetector) -> None:
    with pytest.raises(ModelError, match="has no class person"):
        ObjectsDetector(detector._session, {"person": "politics.person"}, ObjectsConfig())


def test_a_closed_detector_says_so(detector: ObjectsDetector) -> None:
    detector.close()
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect([shown(0, 0, 0)])


@pytest.mark.parametrize("keys", [{"review_from": {"knife": 0}}, {"review_from": {"gun": 0.5}}, {"min_score": 2}])
def test_a_wrong_key_is_told(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ObjectsConfig.model_validate(keys)
