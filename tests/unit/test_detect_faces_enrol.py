"""Who can be enrolled from a picture, and what is said of the pictures that are of no use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from streammon.detect.faces.embedder import FaceEmbedder
from streammon.detect.faces.enrol import FaceEnroller, sharpness
from streammon.detect.faces.locator import FaceLocator
from streammon.detect.runtime.session import open_session
from streammon.entities import Image
from streammon.errors import FaceUnusable
from tests.unit.face_models import Cell, embedder_file, locator_file

SMALL, LARGE = (20, 20, 59.0, 59.0), (50, 100, 100.0, 80.0)
Make = Callable[[Sequence[Cell]], FaceEnroller]


@pytest.fixture
def enroller(tmp_path: Path) -> Make:
    def made(faces: Sequence[Cell]) -> FaceEnroller:
        locator = FaceLocator(open_session(locator_file(tmp_path / "locator.onnx", faces), "cpu"))
        return FaceEnroller(locator, FaceEmbedder(open_session(embedder_file(tmp_path / "embedder.onnx"), "cpu")))

    return made


def noise() -> Image:
    return np.random.default_rng(1).integers(0, 256, (384, 640, 3)).astype(np.uint8)


def test_one_face_becomes_a_vector(enroller: Make) -> None:
    one = enroller([LARGE])
    vector = one.vector(noise())
    assert vector.shape == (one.dimensions,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("faces", "reason"),
    [
        ([], "no face was found"),
        ([LARGE, SMALL], r"2 faces are in it; crop it to one, or take the largest with --largest"),
        ([SMALL], "the face is 59 px large; take a picture with 60 px or more"),
    ],
)
def test_what_is_of_no_use_is_told_with_the_cure(enroller: Make, faces: Sequence[Cell], reason: str) -> None:
    with pytest.raises(FaceUnusable, match=reason):
        enroller(faces).vector(noise())


def test_of_several_the_largest_can_be_asked_for(enroller: Make) -> None:
    image = noise()
    both, alone = enroller([SMALL, LARGE]).vector(image, largest=True), enroller([LARGE]).vector(image)
    np.testing.assert_array_equal(both, alone)


def test_a_blurred_face_is_refused(enroller: Make) -> None:
    grey = np.full((384, 640, 3), 128, np.uint8)
    assert sharpness(grey) == 0
    with pytest.raises(FaceUnusable, match="blurred"):
        enroller([LARGE]).vector(grey)


def test_every_face_of_a_picture_is_told_the_largest_first(enroller: Make) -> None:
    (first, vector), (second, _) = enroller([SMALL, LARGE]).vectors(noise())
    assert first.w > second.w
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert enroller([]).vectors(noise()) == []


def test_vectors_say_what_made_them(enroller: Make, tmp_path: Path) -> None:
    one = enroller([LARGE])
    assert one.model_id == "dlib-face-1"
    assert one.model_sha256 == open_session(tmp_path / "embedder.onnx", "cpu").sha256
