"""`detect.ocr.engine: paddleocr`: what is checked before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from streammon.config import load_yaml
from streammon.detect.config import DetectConfig
from streammon.detect.detector import parallel_of
from streammon.detect.paddle import worker
from streammon.detect.paddle.process import PaddleProcess
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors, models_of
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.text.detector import OcrDetector
from streammon.detect.text.paddle_engine import PaddleEngine, PaddleModel
from streammon.errors import ConfigError, ModelMissing
from streammon.models.paddle import SETTINGS, WEIGHTS, lay_out
from tests.unit.test_models_paddle import DET, DET_FILES, FILES, REC

OFFICIAL = {"ocr": {"engine": "paddleocr", "paddleocr": {"python": "/env/bin/python", "threads": 3}}}
MODELS = ("ppocrv6-det-small", "ppocrv6-rec-small")


def parts(raw: Mapping[str, object], root: Path) -> Parts:
    config = DetectConfig.model_validate(raw)
    runtime = Runtime(config)
    return Parts(weights=lambda name: root / f"{name}.onnx", label_maps={}, config=config, runtime=runtime)


def test_the_default_is_our_own_engine() -> None:
    assert DetectConfig().ocr.engine == "rapidocr"
    assert models_of("ocr", DetectConfig()) == MODELS


def test_an_engine_without_its_environment_is_told_with_the_cure(tmp_path: Path) -> None:
    file = tmp_path / "detect.yaml"
    file.write_text("ocr:\n  max_lines: 9\n  engine: paddleocr\n")
    with pytest.raises(ConfigError) as caught:
        load_yaml(file, DetectConfig, [])
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (1, "ocr")
    assert problem.reason == (
        "engine paddleocr needs `paddleocr.python`: make its environment as docs/paddleocr.md says"
    )


def test_an_environment_may_stand_ready_for_an_engine_that_is_not_used() -> None:
    ready = DetectConfig.model_validate({"ocr": {"paddleocr": {"python": "/env/bin/python"}}})
    assert ready.ocr.engine == "rapidocr"


def test_a_relative_interpreter_is_beside_its_file(tmp_path: Path) -> None:
    file = tmp_path / "detect.yaml"
    file.write_text("ocr: {engine: paddleocr, paddleocr: {python: env/bin/python}}\n")
    assert load_yaml(file, DetectConfig, []).ocr.paddleocr.python == tmp_path / "env" / "bin" / "python"


@pytest.mark.parametrize("raw", [{"threads": 0}, {"timeout": 0}, {"startup_timeout": "soon"}, {"port": 1}])
def test_settings_that_mean_nothing_are_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectConfig.model_validate({"ocr": {"paddleocr": raw}})


def test_no_file_can_stand_in_for_a_model_that_the_package_opens() -> None:
    assert models_of("ocr", DetectConfig.model_validate(OFFICIAL)) == ()


def test_a_model_that_is_not_laid_out_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"PP-OCRv6_small_det is not there: run `streammon models pull"):
        build_detectors(["ocr"], parts(OFFICIAL, tmp_path))


def test_what_is_configured_and_laid_out_is_what_the_child_is_told(tmp_path: Path) -> None:
    for name, made, files, official in zip(
        MODELS, (DET, REC), (DET_FILES, FILES), ("PP-OCRv6_small_det", "PP-OCRv6_small_rec"), strict=True
    ):
        weights = tmp_path / f"{name}.onnx"
        weights.write_bytes(next(iter(files.values())))
        (tmp_path / name).mkdir()
        lay_out(replace(made, paddle=official), weights, tmp_path / name)
    (detector,) = build_detectors(["ocr"], parts(OFFICIAL, tmp_path))
    assert isinstance(detector, OcrDetector)
    engine = detector._engine
    assert isinstance(engine, PaddleEngine)
    process = engine._process
    assert isinstance(process, PaddleProcess)
    assert list(process._command) == ["/env/bin/python", "-I", "-B", worker.__file__]
    folders = [str(tmp_path / "paddle" / f"PP-OCRv6_small_{kind}") for kind in ("det", "rec")]
    assert process._opening == {
        "threads": 3,
        "detection": ["PP-OCRv6_small_det", folders[0]],
        "recognition": ["PP-OCRv6_small_rec", folders[1]],
    }
    assert all((Path(folder) / file).is_file() for folder in folders for file in (WEIGHTS, SETTINGS))
    assert (detector.model, parallel_of(detector)) == ("paddleocr:PP-OCRv6_small_det+PP-OCRv6_small_rec", 1)
    detector.close()


def test_a_model_is_what_the_catalogue_calls_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no model is called 'other'"):
        PaddleModel.checked("other", tmp_path / "other.onnx")
