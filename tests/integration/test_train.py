"""`streammon train` with scikit-learn, on a small net and on the real one: what it learns, refuses, writes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from streammon.cli import app
from streammon.detect.runtime.session import Session, open_session
from streammon.detect.scenes.config import ScenesConfig
from streammon.detect.scenes.detector import ScenesDetector
from streammon.detect.scenes.embedding import Embedder, placed
from streammon.detect.scenes.heads import load_heads
from streammon.detect.scenes.training.assessment import Share
from streammon.detect.scenes.training.fitting import held_out_values
from streammon.detect.scenes.training.head import Trained, encoded, train
from streammon.detect.scenes.training.material import read_material
from streammon.detect.scenes.training.sheet import error_sheet
from streammon.errors import TrainingRefused
from tests.needs import need
from tests.unit.small_nets import frame_of, pixel_net
from tests.unit.training_pictures import folders, motif, save

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "models" / "efficientnet-lite0.onnx"


@pytest.fixture(scope="module", autouse=True)
def scikit_learn() -> None:
    """Skips without it, but in CI that is a failure."""
    try:
        import sklearn.linear_model  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401, PLC0415
    except ImportError as error:
        need("scikit-learn", str(error))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Its embedding is 1,280 pixels of red's plane, from the picture's fifth row on."""
    shapes = {"probabilities": (1000,), "embedding": (1280,)}
    return open_session(pixel_net(tmp_path_factory.mktemp("net") / "net.onnx", 224, shapes, gain=0.5, add=0.5), "cpu")


def quiet(_done: int, _of: int) -> None:
    """No progress."""


def learn(places: tuple[Path, Path], session: Session, label: str = "values.tattoo") -> Trained:
    return train(label, places, session, precision=0.9, progress=quiet)


def refused(places: tuple[Path, Path], session: Session, label: str = "values.tattoo") -> list[str]:
    with pytest.raises(TrainingRefused) as raised:
        learn(places, session, label)
    return str(raised.value).splitlines()


def test_a_head_finds_what_it_learnt_and_its_threshold_is_for_review(tmp_path: Path, session: Session) -> None:
    trained = learn(folders(tmp_path), session)
    assert trained.assessment.precision == Share(hits=24, n=24)
    assert trained.assessment.recall == Share(hits=24, n=24)
    assert (trained.head.positives, trained.head.negatives, trained.mistakes) == (24, 24, ())
    place = tmp_path / "h.json"
    place.write_bytes(encoded(trained.head))
    assert place.stat().st_size < 10_000
    heads = load_heads([place], session.sha256)
    shown = np.stack([placed(motif(500 + n, red=red)) for n, red in enumerate([120, 120, 20, 20])])
    features = (0.5 * (shown[..., 0].reshape(4, -1)[:, 1000:2280] - 127.0) / 128 + 0.5).astype(np.float32)
    scores = heads.scores(features)[:, 0]
    assert (scores[:2] > 0.75).all()
    assert (scores[2:] < 0.65).all()


def test_the_mistakes_are_those_of_the_threshold_it_tells(tmp_path: Path, session: Session) -> None:
    trained = learn(folders(tmp_path, count=40, red=24), session)
    found, shown = trained.assessment.precision, trained.assessment.recall
    assert sum(not one.positive for one in trained.mistakes) == found.n - found.hits
    assert sum(one.positive for one in trained.mistakes) == shown.n - shown.hits
    assert trained.mistakes
    assert all((one.score < 0.7) == one.positive for one in trained.mistakes)


def test_the_same_pictures_give_the_same_head(tmp_path: Path, session: Session) -> None:
    places = folders(tmp_path)
    assert encoded(learn(places, session).head) == encoded(learn(places, session).head)


def test_a_wrongly_sorted_picture_is_the_worst_mistake_and_on_the_sheet(tmp_path: Path, session: Session) -> None:
    yes, no = folders(tmp_path)
    odd = save(no, "odd.png", motif(77, red=120))
    trained = learn((yes, no), session)
    assert trained.mistakes[0].file == odd
    assert not trained.mistakes[0].positive
    assert trained.mistakes[0].score > 0.7
    sheet = error_sheet(trained.mistakes)
    assert sheet.shape == (182, 1280, 3)
    assert sheet[:156, :160].std() > 20


def test_copies_of_a_picture_are_never_tested_on_each_other(tmp_path: Path, session: Session) -> None:
    """Nothing tells the kinds apart but the motif: only who knows a copy already can be right about it."""
    yes, no = folders(tmp_path, count=10, red=20)
    for folder, first in ((yes, 0), (no, 1000)):
        for number in range(10):
            for copy in range(3):
                again = cv2.resize(motif(first + number, red=20), (200 + copy, 150))
                save(folder, f"{number}-{copy}.jpg", again.astype(np.uint8))
    material = read_material(yes, no, Embedder(session), quiet)
    assert len(set(material.motifs)) == 20
    right = (held_out_values(material) > 0) == material.positive
    assert right.mean() < 0.65


def test_one_motif_again_and_again_is_refused(tmp_path: Path, session: Session) -> None:
    yes, no = folders(tmp_path)
    for file in yes.iterdir():
        save(yes, file.name, motif(3, red=120))
    assert refused((yes, no), session) == [
        "the positive pictures show 1 motifs, nearly the same again and again; add others"
    ]


def spoil_few(yes: Path, no: Path) -> None:
    for number in range(19, 24):
        (yes / f"{number}.png").unlink()
    (no / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (no / "empty.png").write_bytes(b"")


def spoil_all(yes: Path, no: Path) -> None:
    for file in [*yes.iterdir(), *no.iterdir()]:
        file.unlink()


def spoil_sorting(yes: Path, no: Path) -> None:
    save(no, "same.jpg", motif(5, red=120))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_few, ["yes: has 19 pictures; at least 20", "broken.jpg: ", "empty.png: "]),
        (spoil_all, ["yes: has 0 pictures; at least 20", "no: has 0 pictures; at least 20"]),
        (spoil_sorting, ["yes/5.png and .*no/same.jpg: look the same, but one is positive"]),
    ],
)
def test_all_that_is_wrong_is_told_together(
    tmp_path: Path, session: Session, spoil: Callable[[Path, Path], None], told: list[str]
) -> None:
    yes, no = folders(tmp_path)
    spoil(yes, no)
    lines = refused((yes, no), session)
    assert len(lines) == len(told)
    for line, part in zip(lines, told, strict=True):
        assert re.search(part, line), line


def test_a_label_and_folders_that_are_none_are_told_together(tmp_path: Path, session: Session) -> None:
    lines = refused((tmp_path / "a", tmp_path / "b"), session, "values.tatoo")
    assert lines[0].startswith("'values.tatoo' is no label of the taxonomy; the nearest is values.tattoo")
    assert [line.endswith("is no folder") for line in lines] == [False, True, True]


def test_without_scikit_learn_the_cure_is_told(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    lines = refused(folders(tmp_path), session)
    assert lines == ["training needs scikit-learn: `pip install 'streammon[train]'`"]


@pytest.fixture
def weights() -> None:
    """Skips without the real net, but in CI that is a failure."""
    need("weights", None if WEIGHTS.is_file() else "`streammon models pull efficientnet-lite0` fetches them")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments), "--models", str(WEIGHTS.parent)])


@pytest.mark.usefixtures("weights")
def test_the_command_writes_a_head_that_the_detector_runs(tmp_path: Path) -> None:
    yes, no = folders(tmp_path)
    result = run("values.tattoo", "--positive", yes, "--negative", no, "--out", tmp_path / "heads")
    assert (result.exit_code, result.exception) == (0, None)
    head, sheet = tmp_path / "heads" / "values.tattoo.json", tmp_path / "heads" / "values.tattoo.errors.png"
    assert re.search(r"precision:  100\.0%, 24 of 24 \(95% interval 86% to 100%\)", result.stdout)
    assert str(head) in result.stdout
    assert cv2.imread(str(sheet)) is not None
    assert sorted(tmp_path.glob("heads/*")) == [sheet, head]
    detector = ScenesDetector(open_session(WEIGHTS, "cpu"), ScenesConfig(heads=(head.parent,), min_score=0.7))
    with_it, without = detector.detect([frame_of(motif(900, red=120)), frame_of(motif(901, red=20))])
    assert "values.tattoo" in [one.label for one in with_it]
    assert "values.tattoo" not in [one.label for one in without]


@pytest.mark.usefixtures("weights")
def test_the_command_leaves_nothing_where_it_refuses(tmp_path: Path) -> None:
    result = run(
        "values.tatoo", "--positive", tmp_path / "a", "--negative", tmp_path / "b", "--out", tmp_path / "heads"
    )
    assert result.exit_code == 1
    assert "the nearest is values.tattoo" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("weights")
def test_an_out_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    yes, no = folders(tmp_path)
    (tmp_path / "heads").write_text("a file")
    result = run("values.tattoo", "--positive", yes, "--negative", no, "--out", tmp_path / "heads")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
