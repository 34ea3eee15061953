"""`streammon library`: what is enrolled is known, what is removed is not, and every bad picture is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from streammon.cli import app, enrolling
from streammon.cli import library as module
from streammon.cli.enrolling import Enroller, FacesEnroller
from streammon.entities import Box, Image
from streammon.errors import LibraryError
from streammon.library.listing import Kind, Thresholds
from streammon.library.store import LibraryStore
from tests.unit.library_making import scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, and three files that cannot be used."""
    made = tmp_path / "pictures"
    made.mkdir()
    for seed in range(4):
        cv2.imwrite(str(made / f"scene-{seed}.png"), scene(seed)[..., ::-1])
    (made / "broken.png").write_bytes((made / "scene-0.png").read_bytes()[:500])
    (made / "notes.txt").write_text("not a picture")
    cv2.imwrite(str(made / "white.png"), np.full((100, 100, 3), 255, np.uint8))
    (made / ".hidden").write_text("not looked at")
    return made


def run(tmp_path: Path, *arguments: object, kind: str = "images") -> Result:
    at = ["--library", str(tmp_path / "library")]
    return CliRunner().invoke(app, ["library", kind, *map(str, arguments), *at])


def store(tmp_path: Path, kind: Kind = Kind.IMAGES) -> LibraryStore:
    return LibraryStore(tmp_path / "library", kind)


def test_what_is_enrolled_is_listed_known_and_forgotten(tmp_path: Path, folder: Path) -> None:
    made = run(
        tmp_path, "add", "flags", "Red Star", folder / "scene-0.png", "--label", "politics.flag", "--note", "old"
    )
    assert (made.exit_code, made.stdout) == (0, "flags: red-star: 1 of 1 pictures enrolled\n")
    assert run(tmp_path, "add", "flags", "Blue", folder / "scene-1.png").exit_code == 0
    assert run(tmp_path, "add", "flags", "red star", folder / "scene-2.png").exit_code == 0

    lists = run(tmp_path, "list").stdout.splitlines()[1].split()
    assert lists[:6] == ["flags", "politics.flag", "2", "3", "0.55", "0.7"]
    entries = run(tmp_path, "list", "flags").stdout
    assert [line.split()[0] for line in entries.splitlines()] == ["id", "red-star", "blue"]
    assert "old" in entries

    said = run(tmp_path, "test", folder / "scene-2.png", folder / "scene-3.png").stdout
    assert "scene-2.png: flags/red-star (Red Star) similarity 1.00, score 1.00: sure" in said
    assert "scene-3.png" in said
    assert "sure" not in said.split("scene-3.png", 1)[1]

    assert run(tmp_path, "remove", "flags", "Red Star").stdout == "flags: red-star removed\n"
    assert [entry.id for entry in store(tmp_path).read("flags").entries] == ["blue"]
    assert run(tmp_path, "remove", "flags", "--all").exit_code == 0
    assert store(tmp_path).names() == ()


def test_bad_pictures_are_named_together_and_the_others_enrolled(tmp_path: Path, folder: Path) -> None:
    done = run(tmp_path, "add", "flags", "all", folder, folder / "gone.png", "--label", "politics.flag")
    assert done.exit_code == 1
    assert done.stdout == "flags: all: 4 of 8 pictures enrolled\n"
    for name, reason in [
        ("broken.png", "is damaged"), ("notes.txt", "is no picture"), ("white.png", "has too little in it"),
        ("gone.png", "there is no such file"),
    ]:  # fmt: skip
        assert done.stderr.count(f"{folder / name}: {reason}") == 1
    assert len(done.stderr.splitlines()) == 4
    assert store(tmp_path).read("flags").entries[0].photos == 4


def test_nothing_is_written_where_nothing_can_be_used(tmp_path: Path, folder: Path) -> None:
    done = run(tmp_path, "add", "flags", "x", folder / "notes.txt", "--label", "politics.flag")
    assert (done.exit_code, done.stdout) == (1, "flags: x: 0 of 1 pictures enrolled\n")
    assert store(tmp_path).names() == ()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["add", "flags", "x", "p.png"], "there is no images list 'flags' yet: say which --label"),
        (["add", "flags", "x", "p.png", "--label", "politics.flags"], "--label politics.flags: is no label"),
        (["add", "../flags", "x", "p.png", "--label", "politics.flag"], "a list's name is of"),
        (["add", "flags", "...", "p.png", "--label", "politics.flag"], "needs a letter"),
        (["add", "flags", "x", "p.png", "--label", "politics.flag", "--review", "0.9"], "0 < review < sure"),
        (["list", "flags"], "there is no images list 'flags'"),
        (["remove", "flags", "x"], "there is no images list 'flags'"),
        (["remove", "flags", "--all"], "there is no images list 'flags'"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.exit_code == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert store(tmp_path).names() == ()


def test_to_remove_needs_a_name_or_all(tmp_path: Path) -> None:
    assert run(tmp_path, "remove", "flags").exit_code == 2
    assert run(tmp_path, "remove", "flags", "x", "--all").exit_code == 2


def test_an_entry_that_is_not_there(tmp_path: Path, folder: Path) -> None:
    run(tmp_path, "add", "flags", "x", folder / "scene-0.png", "--label", "politics.flag")
    assert "no entry 'y'" in run(tmp_path, "remove", "flags", "y").stderr


def test_a_library_without_lists_says_so(tmp_path: Path, folder: Path) -> None:
    listed = run(tmp_path, "list")
    assert (listed.exit_code, listed.stdout) == (
        0,
        "there are no images lists; `streammon library images add` makes one\n",
    )
    tested = run(tmp_path, "test", folder / "scene-0.png")
    assert tested.exit_code == 0
    assert "has no entries" in tested.stdout


def test_a_list_of_another_version_is_named(tmp_path: Path, folder: Path) -> None:
    run(tmp_path, "add", "flags", "x", folder / "scene-0.png", "--label", "politics.flag")
    store(tmp_path).path("flags").write_bytes(b"bad")
    for arguments in (["list"], ["test", folder / "scene-0.png"], ["add", "flags", "y", folder / "scene-1.png"]):
        done = run(tmp_path, *arguments)
        assert done.exit_code == 1
        assert "flags.npz: is no list, or damaged" in done.stderr


def test_thresholds_and_kinds_of_lists_can_be_changed(tmp_path: Path, folder: Path) -> None:
    run(tmp_path, "add", "flags", "x", folder / "scene-0.png", "--label", "politics.flag")
    run(tmp_path, "add", "flags", "x", folder / "scene-1.png", "--review", "0.6", "--allow")
    changed = store(tmp_path).read("flags")
    assert (changed.thresholds.review, changed.thresholds.sure, changed.allow) == (0.6, 0.7, True)
    said = run(tmp_path, "test", folder / "scene-0.png").stdout
    assert said.endswith("flags/x (x) similarity 1.00, score 1.00: sure (allow-list)\n")


class Colours:
    """Takes the mean colour of a picture for a face; a dark one has none."""

    model_id, model_sha256, dimensions = "colours", "ab" * 32, 3

    def vector(self, image: Image, *, largest: bool = False) -> NDArray[np.float32]:
        if image.mean() < 20:
            raise LibraryError("shows no face; crop it" if not largest else "shows no face at all")
        mean = image.mean((0, 1)).astype(np.float32)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def vectors(self, image: Image) -> Sequence[tuple[Box, NDArray[np.float32]]]:
        return [] if image.mean() < 20 else [(Box(x=0, y=0, w=0.5, h=1), self.vector(image))]


def test_faces_are_enrolled_by_their_vectors(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = Colours()

    @contextmanager
    def made_with(kind: Kind, models: Path, embedder: str) -> Iterator[Enroller]:
        assert (kind, models, embedder) == (Kind.FACES, tmp_path / "models", "dlib")
        yield FacesEnroller(faces, Thresholds(review=0.6, sure=0.9))

    monkeypatch.setattr(module, "enroller", made_with)
    cv2.imwrite(str(folder / "dark.png"), np.zeros((50, 50, 3), np.uint8))
    cv2.imwrite(str(folder / "red.png"), np.full((50, 50, 3), (10, 20, 240), np.uint8))
    at = ["--models", tmp_path / "models"]
    done = run(
        tmp_path, "add", "wanted", "Jane", folder / "red.png", folder / "dark.png", "--label", "politics.person", *at,
        kind="faces",
    )  # fmt: skip
    assert done.exit_code == 1
    assert f"{folder / 'dark.png'}: shows no face; crop it" in done.stderr
    kept = store(tmp_path, Kind.FACES).read("wanted")
    assert (kept.thresholds, kept.model.id, len(kept.vectors)) == (Thresholds(review=0.6, sure=0.9), "colours", 1)
    said = run(tmp_path, "test", folder / "red.png", folder / "dark.png", *at, kind="faces").stdout
    assert "red.png at 0.00,0.00 0.50x1.00: wanted/jane (Jane) similarity 1.00, score 1.00: sure" in said
    assert "dark.png: nothing that a list could know" in said


def test_pictures_need_no_weights(tmp_path: Path) -> None:
    with enrolling.enroller(Kind.IMAGES, tmp_path / "none") as made_with:
        assert made_with.model.id == "pictures-1"
