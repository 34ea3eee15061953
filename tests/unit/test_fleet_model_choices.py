"""The file of choices: kept whole, read again, and what is not as it was chosen is named with its cure."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest

from streammon.detect.config import DetectConfig
from streammon.errors import ModelCorrupt, ModelError, ModelMissing
from streammon.fleet.model_choices import ChosenFile, ModelChoices

CONFIG = DetectConfig()
MODEL = CONFIG.nsfw.models[0]


@pytest.fixture
def choices(tmp_path: Path) -> ModelChoices:
    (tmp_path / "state").mkdir()
    (tmp_path / "models" / "v2").mkdir(parents=True)
    (tmp_path / "models" / "v2" / "new.onnx").write_bytes(b"weights")
    (tmp_path / "elsewhere.onnx").write_bytes(b"weights")
    return ModelChoices(tmp_path / "state", tmp_path / "models")


def chosen(file: str = "v2/new.onnx", content: bytes = b"weights") -> dict[str, ChosenFile]:
    return {MODEL: ChosenFile(file=file, sha256=sha256(content).hexdigest())}


def test_what_was_chosen_is_read_again_and_can_be_taken_back(choices: ModelChoices, tmp_path: Path) -> None:
    assert choices.read() == {}
    choices.write("nsfw", chosen())
    choices.write("ocr", chosen("other.onnx"))
    assert choices.read() == {"nsfw": chosen(), "ocr": chosen("other.onnx")}
    place = (tmp_path / "models" / "v2" / "new.onnx").resolve()
    assert choices.files(["nsfw", "qr"], CONFIG) == {"nsfw": {MODEL: place}}
    choices.write("ocr", {})
    assert choices.read() == {"nsfw": chosen()}
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["models.json"]


@pytest.mark.parametrize("name", ["../elsewhere.onnx", "v2/../../elsewhere.onnx", "/etc/passwd", "", ".", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(choices: ModelChoices, name: str) -> None:
    with pytest.raises(ModelError, match="should be the name of a file in"):
        choices.place(name)


def test_a_link_that_leads_elsewhere_is_refused(choices: ModelChoices, tmp_path: Path) -> None:
    (tmp_path / "models" / "link.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    (tmp_path / "models" / "up").symlink_to(tmp_path)
    for name in ("link.onnx", "up/elsewhere.onnx"):
        with pytest.raises(ModelError, match="should be the name of a file in"):
            choices.place(name)


def test_an_absolute_name_within_the_folder_is_refused_and_a_folder_is_no_file(
    choices: ModelChoices, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="relative to that folder"):
        choices.place(str(tmp_path / "models" / "v2" / "new.onnx"))
    with pytest.raises(ModelMissing, match="'v2' is not in"):
        choices.place("v2")


@pytest.mark.parametrize(
    ("kept", "error", "told"),
    [
        (chosen("gone.onnx"), ModelMissing, "'gone.onnx' is not in"),
        (chosen("../elsewhere.onnx"), ModelMissing, "should be the name of a file"),
        (chosen(content=b"others"), ModelCorrupt, "it has the sha256 "),
        ({"faces-v1": chosen()[MODEL]}, ModelError, "which it does not have any more"),
    ],
)
def test_what_is_not_as_it_was_chosen_is_told_with_file_and_cure(
    choices: ModelChoices, kept: dict[str, ChosenFile], error: type[ModelError], told: str
) -> None:
    choices.write("nsfw", kept)
    with pytest.raises(error, match=told) as caught:
        choices.files(["nsfw"], CONFIG)
    assert f"{choices.path}: detector nsfw runs" in str(caught.value)
    assert f"streammon models rollback nsfw --offline {choices.path.parent}" in str(caught.value)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"version": 2}', b"\xff"])
def test_a_file_that_is_none_of_ours_is_told(choices: ModelChoices, text: bytes) -> None:
    choices.path.write_bytes(text)
    with pytest.raises(ModelError, match=r"models\.json cannot be read: .*; correct it, or remove it"):
        choices.read()


def test_a_write_that_fails_changes_nothing(choices: ModelChoices, monkeypatch: pytest.MonkeyPatch) -> None:
    choices.write("nsfw", chosen())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match="No space left on device; nothing was changed"):
        choices.write("nsfw", {})
    assert choices.read() == {"nsfw": chosen()}
