"""The detector of faces on small models: who is told, who is not, and what is never run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streammon.detect.faces.ages import AgeReader
from streammon.detect.faces.build import build_faces
from streammon.detect.faces.config import FacesConfig
from streammon.detect.faces.detector import FacesDetector
from streammon.detect.faces.embedder import DIMENSIONS, MODEL_ID, FaceEmbedder
from streammon.detect.runtime.session import open_session
from streammon.entities import Detection, Image, Source
from streammon.errors import LibraryError, ModelError
from streammon.library.listing import EmbeddingModel, Entry, Kind, Listing, Thresholds
from streammon.library.store import LibraryStore
from tests.unit.face_models import Cell, ages_file, embedder_file, found, locator_file, plain, rows_file, shown, years

RED, GREEN, BLUE = (220, 0, 0), (0, 220, 0), (0, 0, 220)
ONE: tuple[Cell, ...] = ((50, 80, 100.0, 80.0),)
ADULT = years(y30=1.0)


class Bench:
    """Models in files and a library in a folder; each detector made of them is closed in the end."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.folder = folder
        self.library = folder / "library"
        self._opened = opened
        self._embedder = embedder_file(folder / "embedder.onnx")
        self.model = EmbeddingModel(id=MODEL_ID, sha256=open_session(self._embedder, "cpu").sha256)

    def vector(self, colour: tuple[int, int, int]) -> NDArray[np.float32]:
        """Whom a picture of this colour shows."""
        (vector,) = FaceEmbedder(open_session(self._embedder, "cpu")).vectors([plain(colour, 150, 150)])
        return np.asarray(vector)

    def enrol(self, name: str, people: dict[str, NDArray[np.float32]], label: str = "politics.person",
              *, allow: bool = False, model: EmbeddingModel | None = None) -> None:  # fmt: skip
        added = datetime(2026, 1, 1, tzinfo=UTC)
        rows = [np.zeros((0, DIMENSIONS), np.float32), *(vector[None] for vector in people.values())]
        listing = Listing(
            name=name, kind=Kind.FACES, label=label, thresholds=Thresholds(review=0.7, sure=0.8), allow=allow,
            model=model if model is not None else self.model, arrays={"vectors": np.concatenate(rows)},
            entries=tuple(Entry(id=person, name=person, photos=1, added_at=added) for person in people),
        )  # fmt: skip
        store = LibraryStore(self.library, Kind.FACES)
        with store.writing():
            store.save(listing)

    def detector(
        self, faces: Sequence[Cell] = ONE, ages: NDArray[np.float32] | None = None, config: FacesConfig | None = None,
        embedder: Path | None = None,
    ) -> FacesDetector:  # fmt: skip
        locator = open_session(locator_file(self.folder / "locator.onnx", faces), "cpu")
        aged = None if ages is None else open_session(ages_file(self.folder / "ages.onnx", ages), "cpu")
        vectors = open_session(embedder if embedder is not None else self._embedder, "cpu")
        made = build_faces(locator, vectors, aged, config if config is not None else FacesConfig(), self.library)
        self._opened.callback(made.close)
        return made


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as opened:
        yield Bench(tmp_path, opened)


def one(detector: FacesDetector, image: Image) -> Detection:
    ((detection,),) = detector.detect([shown(image)])
    return detection


def test_a_listed_person_is_told_and_a_stranger_is_not(bench: Bench) -> None:
    bench.enrol("leaders", {"red": bench.vector(RED)})
    detector = bench.detector()
    told = one(detector, plain(RED))
    assert (told.label, told.subject, told.source) == ("politics.person", "red", Source.FACE)
    assert told.person is not None
    assert (told.person.library, told.person.entry) == ("leaders", "red")
    assert told.person.similarity == pytest.approx(1.0, abs=1e-4)
    assert told.score == pytest.approx(1.0, abs=1e-3)
    assert told.box is not None
    assert (told.box.x, told.box.w) == pytest.approx((0.4407, 0.125), abs=0.001)
    assert detector.detect([shown(plain(BLUE))]) == [()]


def test_a_detection_says_no_more_of_a_face_than_who_and_where(bench: Bench) -> None:
    bench.enrol("leaders", {"red": bench.vector(RED)})
    told = dataclasses.asdict(one(bench.detector(), plain(RED)))
    assert not any(isinstance(value, (np.ndarray, list)) for value in told.values())
    assert {name for name, value in told.items() if value} == {
        "detector", "model", "source", "score", "label", "box", "subject", "person",
    }  # fmt: skip


def test_each_list_has_its_label_and_each_label_its_best_entry(bench: Bench) -> None:
    near = bench.vector(RED) + 0.5 * bench.vector(GREEN)
    bench.enrol("leaders", {"red": bench.vector(RED), "near": near / np.linalg.norm(near)})
    bench.enrol("wanted", {"also-red": bench.vector(RED)}, "violence.person")
    ((*told,),) = bench.detector().detect([shown(plain(RED))])
    assert {(detection.label, detection.subject) for detection in told} == {
        ("politics.person", "red"), ("violence.person", "also-red"),
    }  # fmt: skip


@pytest.mark.parametrize(("allowed", "labels"), [(RED, {}), (GREEN, {"politics.person": 1.0})])
def test_whom_an_allow_list_knows_best_is_nobody(
    bench: Bench, allowed: tuple[int, int, int], labels: dict[str, float]
) -> None:
    near = bench.vector(RED) + 0.5 * bench.vector(GREEN)
    bench.enrol("leaders", {"near": near / np.linalg.norm(near) if not labels else bench.vector(RED)})
    bench.enrol("staff", {"me": bench.vector(allowed)}, allow=True)
    assert found(bench.detector(), plain(RED)) == labels


def test_of_one_person_seen_twice_the_surer_sight_is_told(bench: Bench) -> None:
    mixed = bench.vector(RED) + 0.5 * bench.vector(GREEN)
    bench.enrol("leaders", {"red": mixed / np.linalg.norm(mixed)})
    image = plain(GREEN)
    image[:, :320] = RED
    ((told,),) = bench.detector([(50, 40, 100, 80), (50, 120, 100, 80)]).detect([shown(image)])
    assert told.box is not None
    assert told.box.x < 0.5


def test_lists_are_taken_up_as_they_change(bench: Bench) -> None:
    detector = bench.detector()
    assert detector.labels == frozenset()
    bench.enrol("leaders", {"red": bench.vector(RED)})
    detector._people.look()
    assert detector.labels == {"politics.person"}
    assert found(detector, plain(RED)) == {"politics.person": 1.0}


def test_where_there_is_nothing_to_look_for_no_model_runs(bench: Bench) -> None:
    bench.enrol("leaders", {})
    detector = bench.detector()
    detector.close()  # a run would be an error from here on
    assert detector.detect([shown(plain(RED)), shown(plain(BLUE))]) == [(), ()]


def test_without_entries_only_ages_are_run(bench: Bench) -> None:
    detector = bench.detector(ages=years(y5=1.0))
    detector._embedder.close()
    assert found(detector, plain(RED)) == {"minors.child": 0.95}
    assert detector.labels == {"minors.infant", "minors.child", "minors.teenager"}


def test_a_list_of_another_model_is_refused_with_the_cure(bench: Bench) -> None:
    bench.enrol("leaders", {"red": bench.vector(RED)}, model=EmbeddingModel(id="dlib-face-0", sha256="0" * 64))
    with pytest.raises(LibraryError, match=r"leaders.*dlib-face-0.*streammon library faces add"):
        bench.detector()


@pytest.mark.parametrize(("size_px", "labels"), [(63, {}), (65, {"minors.child": 0.95})])
def test_of_small_faces_no_age_is_told(bench: Bench, size_px: float, labels: dict[str, float]) -> None:
    assert found(bench.detector([(50, 80, 100.0, size_px)], years(y5=1.0)), plain(RED)) == labels


@pytest.mark.parametrize(("size_px", "labels"), [(39, {}), (41, {"politics.person": 1.0})])
def test_small_faces_are_nobodys(bench: Bench, size_px: float, labels: dict[str, float]) -> None:
    bench.enrol("leaders", {"red": bench.vector(RED)})
    assert found(bench.detector([(50, 80, 100.0, size_px)]), plain(RED)) == labels


def test_of_many_faces_the_largest_are_looked_at(bench: Bench) -> None:
    bench.enrol("leaders", {"red": bench.vector(RED)})
    image = plain(GREEN)
    image[:, :320] = RED
    faces = [(50, 40, 60.0, 60.0), (50, 120, 100.0, 80.0)]
    assert found(bench.detector(faces, config=FacesConfig(max_faces=1)), image) == {}
    assert found(bench.detector(faces, config=FacesConfig(max_faces=2)), image) == {"politics.person": 1.0}


def test_frames_of_several_rooms_are_kept_apart(bench: Bench) -> None:
    bench.enrol("leaders", {"red": bench.vector(RED), "blue": bench.vector(BLUE)})
    images = [plain(RED), plain(GREEN), plain(BLUE)]
    told = bench.detector().detect([shown(image, str(n)) for n, image in enumerate(images)])
    assert [[detection.subject for detection in each] for each in told] == [["red"], [], ["blue"]]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_an_error_and_nobody(bench: Bench, number: float) -> None:
    bad = rows_file(bench.folder / "bad.onnx", np.full((3, DIMENSIONS), number, np.float32), 150)
    model = EmbeddingModel(id=MODEL_ID, sha256=open_session(bad, "cpu").sha256)
    bench.enrol("leaders", {"red": bench.vector(RED)}, model=model)
    with pytest.raises(ModelError, match="bad: gave what is no number"):
        bench.detector(embedder=bad).detect([shown(plain(RED))])


def test_a_vector_of_zeros_is_an_error(bench: Bench) -> None:
    bad = rows_file(bench.folder / "zeros.onnx", np.zeros((3, DIMENSIONS), np.float32), 150)
    with pytest.raises(ModelError, match="no number"):
        FaceEmbedder(open_session(bad, "cpu")).vectors([plain(RED, 150, 150)])


def test_an_age_that_is_no_number_is_an_error_and_no_child(bench: Bench) -> None:
    with pytest.raises(ModelError, match="ages: gave what is no number"):
        bench.detector(ages=years(y5=np.nan)).detect([shown(plain(RED))])


def test_a_model_of_other_ages_is_an_error_and_no_child(bench: Bench) -> None:
    with pytest.raises(ModelError, match=r"ages: says \(1, 8\), not 1 x 100"):
        bench.detector(ages=np.full(8, 1 / 8, np.float32)).detect([shown(plain(RED))])


def test_ages_are_told_from_blue_green_and_red(bench: Bench) -> None:
    first_is_blue = np.zeros((3, 100), np.float32)
    first_is_blue[[0, 1, 2], [10, 20, 30]] = 1 / 255
    reader = AgeReader(open_session(rows_file(bench.folder / "ages.onnx", first_is_blue, 224), "cpu"))
    (row,) = reader.distributions([plain((51, 102, 255), 224, 224)])
    np.testing.assert_allclose(row[[10, 20, 30]], [1.0, 0.4, 0.2], atol=1e-5)


def test_adults_are_not_told(bench: Bench) -> None:
    assert found(bench.detector(ages=ADULT), plain(RED)) == {}


def test_closing_twice_and_warming_up(bench: Bench) -> None:
    detector = bench.detector(ages=ADULT)
    detector.warm_up()
    detector.close()
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect([shown(plain(RED))])
