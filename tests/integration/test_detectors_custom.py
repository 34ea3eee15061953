"""The detector in docs/adding-a-detector.md, installed as a package and built by the real registry."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from streammon.detect.config import DetectConfig
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors, check_detectors, detector_names
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Frame, Moment
from streammon.errors import StreammonError

DOC = Path(__file__).parents[2] / "docs" / "adding-a-detector.md"


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", DOC.read_text(encoding="utf-8"), flags=re.DOTALL)
    return str(text)


def install(folder: Path, package: str) -> None:
    points = tomllib.loads(block("toml"))["project"]["entry-points"]["streammon.detectors"]
    info = folder / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[streammon.detectors]", *lines]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "flames.py").write_text(block("python"), encoding="utf-8")
    install(tmp_path, "flames")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("flames", None)


def parts(config: DetectConfig) -> Parts:
    return Parts(weights=Path, label_maps={}, config=config, runtime=Runtime(config))


def frame(colour: tuple[int, int, int]) -> Frame:
    image = np.full((48, 64, 3), colour, np.uint8)
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=64, height=48, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


@pytest.mark.usefixtures("site")
def test_the_documented_detector_runs() -> None:
    settings: dict[str, Any] = YAML(typ="safe").load(block("yaml"))
    config = DetectConfig.model_validate(settings["detect"])
    check_detectors(settings["detectors"], config)
    (flames,) = build_detectors(["flames"], parts(config))
    flames.warm_up()
    fire, sky = flames.detect([frame((240, 120, 20)), frame((40, 90, 220))])
    flames.close()
    assert [(one.label, one.score) for one in fire] == [("violence.fire", 1.0)]
    assert sky == ()


@pytest.mark.usefixtures("site")
def test_its_options_are_checked_by_its_own_class_all_at_once() -> None:
    options = {"flames": {"least": "much", "most": 1}, "smoke": {}}
    with pytest.raises(ValidationError) as caught:
        DetectConfig.model_validate({"options": options})
    told = {(error["loc"], error["type"]) for error in caught.value.errors()}
    assert told == {
        (("options", "flames", "least"), "float_parsing"),
        (("options", "flames", "most"), "extra_forbidden"),
        (("options", "smoke"), "value_error"),
    }


@pytest.mark.usefixtures("site")
def test_a_name_that_is_none_is_told_by_its_place() -> None:
    custom = {"flames": {"kind": "yolo", "file": "a.onnx", "map": {"fire": "violence.fire"}}}
    with pytest.raises(ValidationError) as caught:
        check_detectors(["qr", "eyes"], DetectConfig.model_validate({"custom": custom}))
    assert [error["loc"] for error in caught.value.errors()] == [("detectors", 1), ("detect", "custom", "flames")]
    with pytest.raises(StreammonError, match="more than one detector is called flames"):
        build_detectors(["qr"], parts(DetectConfig.model_validate({"custom": custom})))


def test_two_packages_may_not_bring_the_same_name(site: Path) -> None:
    install(site, "embers")
    with pytest.raises(ValueError, match="two packages bring a detector 'flames'"):
        detector_names()
