"""Directories for the official paddleocr package: laid out of the weights, checked, and made again where broken."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from ruamel.yaml import YAML

from streammon.errors import ConfigError, ModelCorrupt, ModelMissing
from streammon.models import catalog
from streammon.models.catalog import Model, Task, load_catalog, parse_catalog
from streammon.models.paddle import SETTINGS, WEIGHTS, check_directory, directory_of
from streammon.models.store import ModelStore, StoreState
from tests.unit.test_models_store import Registry, model, store

CHARACTERS = ["!", "'", '"', "#", "-", "?", "0", "yes", "null", "~", "\u3000", "\u4e00", "\U00020bb7", "\ufe0f", "\\"]
"""Such as YAML would take for something else."""


def weights(characters: list[str] | None) -> bytes:
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", shape[:1], shape[1:])
    made = helper.make_model(graph)
    if characters is not None:
        helper.set_model_props(made, {"character": "\n".join(characters)})
    content: bytes = made.SerializeToString()
    return content


def reading(characters: list[str] | None) -> tuple[Model, dict[str, bytes]]:
    files = {"w/rec.onnx": weights(characters)}
    return replace(model("rec", files), task=Task.TEXT_RECOGNITION, paddle="X_rec"), files


REC, FILES = reading(CHARACTERS)
DET_FILES = {"w/det.onnx": weights(None)}
DET = replace(model("det", DET_FILES), task=Task.TEXT_DETECTION, paddle="X_det")


@pytest.fixture
def registry() -> Registry:
    return Registry(files=FILES | DET_FILES)


@pytest.fixture
def pulled(tmp_path: Path, registry: Registry) -> ModelStore:
    made = store(tmp_path, registry, REC, DET)
    assert [one.state for one in made.pull()] == [StoreState.READY] * 2
    return made


def told(root: Path, name: str) -> dict[str, object]:
    content: dict[str, object] = YAML(typ="safe").load((root / "paddle" / name / SETTINGS).read_text("utf-8"))
    return content


def faults(made: ModelStore) -> list[str]:
    return [one.reason for one in made.verify() if one.state is StoreState.CORRUPT]


def test_a_reader_of_text_has_its_characters_as_they_are(pulled: ModelStore, tmp_path: Path) -> None:
    content = told(tmp_path, "X_rec")
    assert content["Global"] == {"model_name": "X_rec"}
    assert content["PostProcess"] == {"name": "CTCLabelDecode", "character_dict": CHARACTERS}


def test_a_finder_of_text_is_told_how_pictures_come_in(pulled: ModelStore, tmp_path: Path) -> None:
    content = told(tmp_path, "X_det")
    assert content["Global"] == {"model_name": "X_det"}
    steps = content["PreProcess"]
    assert isinstance(steps, dict)
    assert [next(iter(step)) for step in steps["transform_ops"]] == [
        "DecodeImage", "DetResizeForTest", "NormalizeImage", "ToCHWImage",
    ]  # fmt: skip


def test_the_weights_take_no_more_of_the_disk(pulled: ModelStore, tmp_path: Path) -> None:
    assert (tmp_path / "paddle" / "X_rec" / WEIGHTS).samefile(tmp_path / "rec.onnx")


def test_where_there_are_no_hard_links_they_are_copied(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    made = store(tmp_path, registry, REC)
    made.pull()
    copy = tmp_path / "paddle" / "X_rec" / WEIGHTS
    assert not copy.samefile(tmp_path / "rec.onnx")
    assert copy.read_bytes() == (tmp_path / "rec.onnx").read_bytes()
    assert faults(made) == []


def test_a_second_pull_lays_out_nothing(pulled: ModelStore) -> None:
    steps: list[str] = []
    pulled.pull(progress=lambda _, step: steps.append(step))
    assert steps == []


@pytest.mark.parametrize("name", [WEIGHTS, SETTINGS])
def test_a_broken_directory_is_noticed_and_made_again(pulled: ModelStore, tmp_path: Path, name: str) -> None:
    file = tmp_path / "paddle" / "X_rec" / name
    for content in (None, b"something else"):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        (fault,) = faults(pulled)
        assert f"paddle/X_rec/{name}" in fault
        with pytest.raises(ModelCorrupt, match=r"run `streammon models pull rec`"):
            check_directory(REC, tmp_path / "rec.onnx")
        pulled.pull()
        assert faults(pulled) == []
        assert check_directory(REC, tmp_path / "rec.onnx") == tmp_path / "paddle" / "X_rec"


def test_weights_that_were_replaced_are_laid_out_again(pulled: ModelStore, tmp_path: Path, registry: Registry) -> None:
    newer, registry.files = reading(["a", "b"])
    made = store(tmp_path, registry, newer)
    made.pull()
    assert faults(made) == []
    assert told(tmp_path, "X_rec")["PostProcess"] == {"name": "CTCLabelDecode", "character_dict": ["a", "b"]}


def test_a_directory_that_is_not_there_hinders_nobody_but_paddleocr(pulled: ModelStore, tmp_path: Path) -> None:
    """Weights that were pulled by an older version have none."""
    place = directory_of(REC, tmp_path / "rec.onnx")
    for file in place.iterdir():
        file.unlink()
    place.rmdir()
    assert pulled.states()[0].state is StoreState.READY
    assert pulled.path("rec").exists()
    with pytest.raises(ModelMissing, match=r"X_rec is not there: run `streammon models pull rec`"):
        check_directory(REC, tmp_path / "rec.onnx")
    pulled.pull()
    assert check_directory(REC, tmp_path / "rec.onnx").is_dir()


def test_weights_without_characters_are_refused(tmp_path: Path) -> None:
    bare, files = reading(None)
    with pytest.raises(ModelCorrupt, match="carries no list of characters"):
        store(tmp_path, Registry(files=files), bare).pull()
    assert not (tmp_path / "paddle").exists()


def test_the_catalogue_names_both_models_of_the_reader() -> None:
    named = {name: one.paddle for name, one in load_catalog().models.items() if one.paddle is not None}
    assert named == {"ppocrv6-det-small": "PP-OCRv6_small_det", "ppocrv6-rec-small": "PP-OCRv6_small_rec"}


def test_only_a_model_of_text_may_have_such_a_name() -> None:
    text = (Path(catalog.__file__).parent / "entries" / "nsfw.toml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="a model for image_classification is none of paddleocr's"):
        parse_catalog({"c.toml": text.replace('convert = "nsfwjs-1"', 'convert = "nsfwjs-1"\npaddle = "X"')})
