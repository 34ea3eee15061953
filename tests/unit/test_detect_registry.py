"""The table of detectors: names, and that a failure leaves nothing open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from streammon.detect import factories, registry
from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors, detector_names, models_of
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Detection, Frame
from streammon.errors import ModelError, ModelMissing, StreammonError
from tests.unit.test_detect_nsfw import CLASSES, linear


def no_weights(model: str) -> Path:
    raise ModelMissing(f"{model} is not in the store")


CONFIG = DetectConfig(provider="cpu")
PARTS = Parts(weights=no_weights, label_maps={}, config=CONFIG, runtime=Runtime(CONFIG))


class Recording:
    """A detector that remembers that it was closed."""

    name, model = "recording", "none"
    labels: frozenset[str] = frozenset()
    closed = False

    def warm_up(self) -> None: ...

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        return [() for _ in frames]

    def close(self) -> None:
        self.closed = True


def test_the_known_names() -> None:
    assert detector_names() == (
        "nsfw", "nudity", "qr", "ocr", "faces", "objects", "scenes", "pictures", "gesture", "objects365", "prompts",
    )  # fmt: skip


def test_a_detector_without_weights_needs_none() -> None:
    (detector,) = build_detectors(["qr"], PARTS)
    assert detector.name == "qr"


def test_an_unknown_name_lists_the_known_ones_before_anything_is_opened() -> None:
    with pytest.raises(StreammonError, match="no detector is called eyes: the known ones are nsfw, nudity, qr, ocr"):
        build_detectors(["nsfw", "eyes"], PARTS)


@pytest.mark.parametrize("name", ["nsfw", "ocr", "objects", "scenes"])
def test_missing_weights_are_named(name: str) -> None:
    with pytest.raises(ModelMissing, match="is not in the store"):
        build_detectors([name], PARTS)


def test_a_failure_closes_what_was_open(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording()
    table: dict[str, object] = {**factories.FACTORIES, "qr": lambda _: recording}
    monkeypatch.setattr(registry, "FACTORIES", table)
    with pytest.raises(ModelMissing):
        build_detectors(["qr", "ocr"], PARTS)
    assert recording.closed
    built: list[Detector] = build_detectors(["qr"], PARTS)
    assert built == [recording]


@pytest.mark.parametrize(
    ("name", "models", "files", "config"),
    [
        ("objects", ("nanodet-coco",), 1, {}),
        ("scenes", ("efficientnet-lite0",), 1, {"scenes": {"heads": ["none.json"]}}),
        ("gesture", ("dynamic-gestures-hands", "dynamic-gestures-crops"), 1, {}),
        ("gesture", ("dynamic-gestures-hands", "dynamic-gestures-crops"), 2, {}),
    ],
)
def test_a_model_that_does_not_do_is_not_left_open(
    tmp_path: Path, name: str, models: tuple[str, ...], files: int, config: dict[str, object]
) -> None:
    """Of a trial that fails nothing stays in memory: the model is no such one, a head is missing, or the next model."""
    file = tmp_path / "odd.onnx"
    linear(file, np.eye(3, dtype=np.float32), 8, "a,b,c")
    runtime = Runtime(DetectConfig(provider="cpu"))
    parts = Parts(
        weights=no_weights,
        label_maps={one: {"knife": "violence.weapon.knife"} for one in models},
        config=DetectConfig.model_validate({"provider": "cpu", **config}),
        runtime=runtime,
        classes=dict.fromkeys(models, ("thumb",)),
    )
    with pytest.raises((StreammonError, ValueError)):
        build_detectors([name], parts, {name: dict.fromkeys(models[:files], file)})
    assert runtime.models() == ()
    runtime.close()


@pytest.mark.parametrize(
    "raw",
    [{"provider": "npu"}, {"threads": 0}, {"nsfw": {"min_score": 2}}, {"qr": {"codes": 1}}, {"ocr": {"max_lines": 0}}],
)
def test_configuration_that_means_nothing_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectConfig.model_validate(raw)


@pytest.mark.parametrize(
    ("raw", "models"),
    [
        ({}, ("nsfwjs-mobilenet-v2", "open-nsfw")),
        ({"model": "quality"}, ("nsfwjs-inception-v3", "open-nsfw")),
        ({"second": "off"}, ("nsfwjs-mobilenet-v2",)),
    ],
)
def test_the_models_of_nsfw_are_those_that_are_chosen(raw: dict[str, object], models: tuple[str, ...]) -> None:
    assert models_of("nsfw", DetectConfig.model_validate({"nsfw": raw})) == models


def test_where_the_second_model_is_missing_the_first_is_closed_again(tmp_path: Path) -> None:
    first = tmp_path / "nsfwjs-mobilenet-v2.onnx"
    linear(first, np.zeros((3, 5), np.float32), 32, CLASSES).close()

    def only_the_first(model: str) -> Path:
        return first if model == first.stem else no_weights(model)

    runtime = Runtime(CONFIG)
    with pytest.raises(ModelMissing, match="open-nsfw is not in the store"):
        build_detectors(["nsfw"], Parts(weights=only_the_first, label_maps={}, config=CONFIG, runtime=runtime))
    assert runtime.models() == ()


def test_where_a_model_is_not_what_it_stands_for_all_are_closed_again(tmp_path: Path) -> None:
    linear(tmp_path / "one.onnx", np.zeros((3, 5), np.float32), 32, CLASSES).close()
    linear(tmp_path / "two.onnx", np.zeros((3, 2), np.float32), 128, "sfw,nsfw").close()
    files = {"nsfw": {"nsfwjs-mobilenet-v2": tmp_path / "one.onnx", "open-nsfw": tmp_path / "two.onnx"}}
    runtime = Runtime(CONFIG)
    with pytest.raises(ModelError, match="two: its input is"):
        build_detectors(["nsfw"], Parts(weights=no_weights, label_maps={}, config=CONFIG, runtime=runtime), files)
    assert runtime.models() == ()


def test_a_file_stands_in_for_either_model_of_nsfw(tmp_path: Path) -> None:
    linear(tmp_path / "one.onnx", np.zeros((3, 5), np.float32), 32, CLASSES).close()
    linear(tmp_path / "two.onnx", np.zeros((3, 2), np.float32), 224, "sfw,nsfw").close()
    files = {"nsfw": {"nsfwjs-mobilenet-v2": tmp_path / "one.onnx", "open-nsfw": tmp_path / "two.onnx"}}
    (detector,) = build_detectors(["nsfw"], PARTS, files)
    assert detector.model == "one+two"
    detector.close()
