"""Models made of files that somebody brought: the same verification as a pull's, and nothing of what is refused."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streammon.cli import app
from streammon.errors import ModelCorrupt, ModelError
from streammon.models.catalog import (
    Catalog,
    Licence,
    Model,
    PackageSource,
    Source,
    SourceFile,
    Task,
    UrlSource,
    load_catalog,
)
from streammon.models.store import ModelStore, StoreState

COMMIT = "0123456789" * 4
FILES = {"onnx/a.onnx": b"weights of a", "onnx/b.bin": b"more"}


def listed(files: dict[str, bytes]) -> tuple[SourceFile, ...]:
    return tuple(
        SourceFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        for path, content in files.items()
    )


def from_url(*paths: str) -> UrlSource:
    files = listed({path: FILES[path] for path in paths})
    return UrlSource(ecosystem="url", base=f"https://models.test/{COMMIT}/", revision=COMMIT, files=files)


PACKAGE = PackageSource(
    ecosystem="pypi", package="pkg", version="1.0", download_bytes=9, files=listed({"w/a.onnx": b"weights of a"})
)


def store(root: Path, source: Source, spdx: str = "MIT") -> ModelStore:
    licence = Licence(spdx=spdx, permissive=spdx == "MIT")
    model = Model(
        name="a", task=Task.OBJECT_DETECTION, card="a.md", licence=licence, source=source, raw_labels=(), label_map={}
    )  # fmt: skip
    return ModelStore(root, Catalog(models={"a": model}))


def given(folder: Path, **files: bytes) -> list[Path]:
    paths = [folder / name for name in files]
    for path, content in zip(paths, files.values(), strict=True):
        path.write_bytes(content)
    return paths


def test_a_file_of_an_address_is_known_by_its_hash_whatever_it_is_called(tmp_path: Path) -> None:
    made = store(tmp_path / "m", from_url("onnx/a.onnx"))
    state = made.install("a", given(tmp_path, download=b"weights of a"))
    assert state.state is StoreState.READY
    assert made.path("a").read_bytes() == b"weights of a"
    assert [one.state for one in made.verify()] == [StoreState.READY]


def test_an_archive_is_opened_as_a_pull_would(tmp_path: Path) -> None:
    archive = tmp_path / "any-name.whl"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("w/a.onnx", b"weights of a")
        package.writestr("w/other", b"not wanted")
    made = store(tmp_path / "m", PACKAGE)
    assert made.install("a", [archive]).state is StoreState.READY
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [".lock", "a.json", "a.onnx"]


@pytest.mark.parametrize("content", [b"weights of b", b"weights", b"", b"weights of a and more"])
def test_another_file_is_refused_and_nothing_is_stored(tmp_path: Path, content: bytes) -> None:
    made = store(tmp_path / "m", from_url("onnx/a.onnx"))
    with pytest.raises(ModelCorrupt, match=r"is no file of a"):
        made.install("a", given(tmp_path, download=content))
    assert [path.name for path in (tmp_path / "m").iterdir()] == [".lock"]


def test_a_file_that_is_lacking_is_named(tmp_path: Path) -> None:
    made = store(tmp_path / "m", from_url("onnx/a.onnx", "onnx/b.bin"))
    with pytest.raises(ModelCorrupt, match=r"a also needs onnx/b\.bin, with the sha256 [0-9a-f]{64}"):
        made.install("a", given(tmp_path, download=b"weights of a"))


def test_an_archive_with_other_content_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "pkg.whl"
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("w/a.onnx", b"weights of b")
    with pytest.raises(ModelCorrupt, match=r"sha256 of w/a\.onnx"):
        store(tmp_path / "m", PACKAGE).install("a", [archive])


@pytest.mark.parametrize("names", [["weights.onnx"], ["one.whl", "two.whl"]])
def test_a_package_s_model_wants_one_archive(tmp_path: Path, names: list[str]) -> None:
    files = given(tmp_path, **dict.fromkeys(names, b"x"))
    with pytest.raises(ModelError, match=r"a comes from one archive, a \.whl or \.tgz: that of pkg 1\.0"):
        store(tmp_path / "m", PACKAGE).install("a", files)


def test_a_file_that_is_not_there_is_named_and_not_the_folder_of_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"/gone cannot be read: No such file or directory"):
        store(tmp_path / "m", from_url("onnx/a.onnx")).install("a", [tmp_path / "gone"])


def test_a_licence_that_is_not_permissive_must_be_accepted_here_too(tmp_path: Path) -> None:
    made = store(tmp_path / "m", from_url("onnx/a.onnx"), spdx="AGPL-3.0")
    files = given(tmp_path, download=b"weights of a")
    with pytest.raises(ModelError, match="must be accepted"):
        made.install("a", files)
    assert made.install("a", files, ["AGPL-3.0"]).state is StoreState.READY


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    (wrong,) = given(tmp_path, download=b"x")
    name = next(model.name for model in load_catalog().models.values() if isinstance(model.source, UrlSource))
    result = CliRunner().invoke(app, ["models", "import", name, str(wrong), "--models", str(tmp_path / "m")])
    assert result.exit_code == 1
    assert f"is no file of {name}" in result.stderr
