"""Packs: each is whole, says what it runs, and gives way to what an operator says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from streammon.detect.config import DetectConfig
from streammon.detect.packs import Pack, load_packs
from streammon.detect.registry import check_detectors
from streammon.errors import ConfigError
from streammon.fleet.config import Settings, load_settings
from streammon.models.catalog import load_catalog


@pytest.mark.parametrize("name", load_packs())
def test_every_pack_names_detectors_that_there_are_and_models_of_the_catalogue(name: str) -> None:
    pack = load_packs()[name]
    accepted = pack.under({"nudity": {"accept_licence": "AGPL-3.0"}})
    check_detectors(pack.detectors, DetectConfig.model_validate(accepted))
    assert set(pack.models()) <= set(load_catalog().models)


def test_a_pack_does_not_accept_a_licence_for_anybody() -> None:
    with pytest.raises(ValidationError, match="accept_licence"):
        Settings.model_validate({"pack": "nudity"})
    Settings.model_validate({"pack": "nudity", "detect": {"nudity": {"accept_licence": "AGPL-3.0"}}})


def test_the_default_pack_takes_permissive_licences_only() -> None:
    models = load_catalog().models
    assert all(models[name].licence.permissive for name in load_packs()["default"].models())


def test_what_the_operator_says_goes_before_what_the_pack_says() -> None:
    pack = Pack(about="", detectors=("qr",), detect={"qr": {"max_codes": 3, "second_try": False}, "threads": 2})
    assert pack.under({"qr": {"max_codes": 9}, "provider": "cpu"}) == {
        "qr": {"max_codes": 9, "second_try": False},
        "threads": 2,
        "provider": "cpu",
    }


def test_a_file_without_detectors_has_those_of_its_pack() -> None:
    assert Settings().detectors == load_packs()["default"].detectors
    assert Settings.model_validate({"detectors": ["qr"]}).detectors == ("qr",)


@pytest.mark.parametrize(
    ("said", "reason"),
    [("fastest", "no such pack; there are default"), ("[full]", "valid string"), ("{}", "valid string")],
)
def test_a_pack_that_there_is_not_is_told_by_its_line(tmp_path: Path, said: str, reason: str) -> None:
    file = tmp_path / "streammon.yaml"
    file.write_text(f"version: 1\npack: {said}\n")
    with pytest.raises(ConfigError, match=rf"streammon\.yaml:2: pack: .*{reason}"):
        load_settings(file)
