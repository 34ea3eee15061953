"""The table of detectors: names, and that a failure leaves nothing open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from streammon.detect import registry
from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.registry import Parts, build_detectors, detector_names
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Detection, Frame
from streammon.errors import ModelMissing, StreammonError


def no_weights(model: str) -> Path:
    raise ModelMissing(f"{model} is not in the store")


CONFIG = DetectConfig(provider="cpu")
PARTS = Parts(weights=no_weights, label_maps={"nsfwjs-inception-v3": {}}, config=CONFIG, runtime=Runtime(CONFIG))


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
    assert detector_names() == ("nsfw", "qr", "ocr")


def test_a_detector_without_weights_needs_none() -> None:
    (detector,) = build_detectors(["qr"], PARTS)
    assert detector.name == "qr"


def test_an_unknown_name_lists_the_known_ones_before_anything_is_opened() -> None:
    with pytest.raises(StreammonError, match="no detector is called faces: the known ones are nsfw, qr, ocr"):
        build_detectors(["nsfw", "faces"], PARTS)


@pytest.mark.parametrize("name", ["nsfw", "ocr"])
def test_missing_weights_are_named(name: str) -> None:
    with pytest.raises(ModelMissing, match="is not in the store"):
        build_detectors([name], PARTS)


def test_a_failure_closes_what_was_open(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording()
    table: dict[str, object] = {**registry._FACTORIES, "qr": lambda _: recording}
    monkeypatch.setattr(registry, "_FACTORIES", table)
    with pytest.raises(ModelMissing):
        build_detectors(["qr", "ocr"], PARTS)
    assert recording.closed
    built: list[Detector] = build_detectors(["qr"], PARTS)
    assert built == [recording]


@pytest.mark.parametrize(
    "raw",
    [{"provider": "npu"}, {"threads": 0}, {"nsfw": {"min_score": 2}}, {"qr": {"codes": 1}}, {"ocr": {"max_lines": 0}}],
)
def test_configuration_that_means_nothing_is_refused(raw: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DetectConfig.model_validate(raw)
