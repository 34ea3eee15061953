"""The models of faces for real: against dlib's own numbers, on a picture in the public domain, and from end to end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.faces.ages import AgeReader
from streammon.detect.faces.centre import CENTRE
from streammon.detect.faces.embedder import FaceEmbedder, unit
from streammon.detect.faces.enrol import FaceEnroller, open_enroller
from streammon.detect.faces.locator import FaceLocator
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import open_session
from streammon.entities import Image
from streammon.errors import FaceUnusable
from streammon.library.listing import EmbeddingModel, Entry, Kind, Listing, Thresholds
from streammon.library.read_picture import read_picture
from streammon.library.store import LibraryStore
from tests.needs import need
from tests.unit.face_models import shown

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "faces"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
WEIGHTS = {name: ROOT / "models" / f"{name}.onnx" for name in ("centerface", "dlib-face", "faceres-age")}
ASTRONAUT = read_picture(FIXTURES / "astronaut.jpg")
THRESHOLDS = Thresholds(review=0.70, sure=0.78)


@pytest.fixture(scope="module", autouse=True)
def weights() -> None:
    """Skips without weights, but in CI their absence is a failure."""
    missing = [str(path) for path in WEIGHTS.values() if not path.is_file()]
    need("weights", f"no {', '.join(missing)}; `streammon models pull` fetches them" if missing else None)


@pytest.fixture(scope="module")
def locator(weights: None) -> FaceLocator:
    return FaceLocator(open_session(WEIGHTS["centerface"]))


@pytest.fixture(scope="module")
def embedder(weights: None) -> FaceEmbedder:
    return FaceEmbedder(open_session(WEIGHTS["dlib-face"]))


@pytest.fixture
def enroller(locator: FaceLocator, embedder: FaceEmbedder) -> FaceEnroller:
    return FaceEnroller(locator, embedder)


def scaled(factor: float) -> Image:
    return cv2.resize(ASTRONAUT, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(np.uint8)


def test_a_vector_is_what_dlib_itself_makes_of_the_face(embedder: FaceEmbedder) -> None:
    """The net's weights are rounded to 8 bits here: over 120 faces the cosine to dlib's was at least 0.9993."""
    said = np.array(EXPECTED["descriptor"], np.float32)[None]
    (got,) = embedder.vectors([read_picture(FIXTURES / EXPECTED["chip"])])
    (wanted,) = unit(unit(said) - CENTRE)
    assert float(got @ wanted) > 0.995


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.0, 2.0, 5.0])
def test_the_face_is_found_at_its_place(locator: FaceLocator, factor: float) -> None:
    (face,) = locator.locate(scaled(factor))
    left_eye, right_eye, nose, left_corner, right_corner = face.points / factor
    np.testing.assert_allclose(left_eye, (107, 102), atol=4)
    np.testing.assert_allclose(right_eye, (151, 104), atol=4)
    assert left_eye[1] < nose[1] < left_corner[1]
    assert left_corner[0] < nose[0] < right_corner[0]


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize(("height", "width"), [(720, 1280), (1, 1), (10, 20_000)])
def test_there_is_no_face_where_there_is_nothing(locator: FaceLocator, level: int, height: int, width: int) -> None:
    assert locator.locate(np.full((height, width, 3), level, np.uint8)) == []


def test_an_adult_is_no_minor(locator: FaceLocator) -> None:
    ages = AgeReader(open_session(WEIGHTS["faceres-age"]))
    (face,) = locator.locate(ASTRONAUT)
    (distribution,) = ages.distributions([ages.chip(ASTRONAUT, face.points)])
    assert distribution.sum() == pytest.approx(1, abs=1e-3)
    assert distribution[:18].sum() < 0.25
    assert 22 < distribution @ np.arange(100) < 50


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("factor", [0.8, 1.5])
def test_a_person_is_known_again(enroller: FaceEnroller, factor: float, *, mirrored: bool) -> None:
    changed = scaled(factor)[:, ::-1] if mirrored else scaled(factor)
    known, again = enroller.vector(ASTRONAUT), enroller.vector(np.ascontiguousarray(changed))
    assert float(known @ again) > THRESHOLDS.sure


def test_pictures_of_no_use_are_refused(enroller: FaceEnroller) -> None:
    with pytest.raises(FaceUnusable, match="2 faces"):
        enroller.vector(np.hstack([ASTRONAUT, ASTRONAUT]))
    with pytest.raises(FaceUnusable, match="px large"):
        enroller.vector(scaled(0.5))
    with pytest.raises(FaceUnusable, match="no face"):
        enroller.vector(np.zeros((300, 300, 3), np.uint8))
    with pytest.raises(FaceUnusable, match="blurred"):
        enroller.vector(cv2.GaussianBlur(ASTRONAUT, (0, 0), 4).astype(np.uint8))


@pytest.fixture
def detector(tmp_path: Path) -> Iterator[Detector]:
    """`faces` as the registry builds it, with the astronaut on a list, and nobody on another."""
    config = DetectConfig(library=tmp_path / "library")
    runtime = Runtime(config)
    enroller = open_enroller(WEIGHTS.__getitem__, runtime)
    model = EmbeddingModel(id=enroller.model_id, sha256=enroller.model_sha256)
    entry = Entry(id="eileen-collins", name="Eileen Collins", photos=1, added_at=datetime(2026, 1, 1, tzinfo=UTC))
    store = LibraryStore(config.library, Kind.FACES)
    with store.writing():
        store.save(Listing(
            name="astronauts", kind=Kind.FACES, label="politics.person", thresholds=THRESHOLDS, model=model,
            entries=(entry,), arrays={"vectors": enroller.vector(ASTRONAUT)[None]},
        ))  # fmt: skip
    enroller.close()
    (built,) = build_detectors(
        ["faces"], Parts(weights=WEIGHTS.__getitem__, label_maps={}, config=config, runtime=runtime)
    )
    built.warm_up()
    yield built
    built.close()
    runtime.close()


def test_a_listed_person_is_seen_in_a_frame_where_they_are(detector: Detector) -> None:
    frame = np.full((720, 1280, 3), 90, np.uint8)
    frame[200:456, 700:956] = ASTRONAUT
    ((told,), nobody) = detector.detect([shown(frame), shown(np.full((720, 1280, 3), 90, np.uint8))])
    assert (told.label, told.subject, told.model) == ("politics.person", "eileen-collins", "dlib-face")
    assert told.score > 0.95
    assert told.box is not None
    assert (told.box.x * 1280, told.box.y * 720) == pytest.approx((785, 258), abs=10)
    assert nobody == ()
    assert detector.labels == {"politics.person", "minors.infant", "minors.child", "minors.teenager"}
