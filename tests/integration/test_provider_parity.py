"""Every provider there is answers as one thread of the CPU does: all models, all their shapes, real pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streammon.detect.nsfw.nsfwjs import Nsfwjs
from streammon.detect.nsfw.open_nsfw import OpenNsfw
from streammon.detect.objects.config import ObjectsConfig
from streammon.detect.objects.detector import ObjectsDetector
from streammon.detect.runtime.gate import Gate
from streammon.detect.runtime.library import onnx_runtime
from streammon.detect.runtime.limits import RunLimits
from streammon.detect.runtime.opening import open_model
from streammon.detect.runtime.providers import NAMES, Placement, is_present
from streammon.detect.runtime.session import Session, open_session
from streammon.detect.scenes.embedding import Embedder, placed
from streammon.detect.text import locator as text_locator
from streammon.detect.text import reader as text_reader
from streammon.entities import Image
from streammon.errors import ProviderUnavailable
from tests.needs import need
from tests.unit.small_nets import frame_of

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "sample_streams" / "room.mp4"
# How far answers may differ, in shares of the largest, of 1 for probabilities. Other threads only add up in another
# order; other providers may compute in bfloat16.
VARIANTS = [
    ("cpu", 2, 1e-5),
    ("cpu", 3, 1e-5),
    ("openvino", None, 0.01),
    ("cuda", None, 0.01),
    ("tensorrt", None, 0.01),
]
Inputs = list[tuple[dict[str, NDArray[Any]], list[NDArray[Any]]]]
"""What a model was shown, and what it answered."""


class Recorder(Session):
    """A session on one thread of the CPU that keeps what it was shown and what it answered."""

    def __init__(self, path: Path) -> None:
        opened = open_model(path, "cpu", lambda on: Placement(provider=on, threads=1, concurrency=1))
        super().__init__(opened, Gate(1), RunLimits())
        self.answers: Inputs = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        outputs = super().run(inputs)
        self.answers.append((dict(inputs), outputs))
        return outputs


def weights(model: str) -> Path:
    """Skips without weights, but in CI their absence is a failure."""
    path = ROOT / "models" / f"{model}.onnx"
    need("weights", None if path.is_file() else f"no {path}; `streammon models pull` fetches it")
    return path


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    """The clip's pictures at times with text, with a code and with neither, 720 x 1280 RGB."""
    truth = json.loads(CLIP.with_suffix(".json").read_text(encoding="utf-8"))
    times = [(one["start_s"] + one["end_s"]) / 2 for one in truth["violations"] + truth["quiet"]]
    return list(_pictures(times))


def _pictures(times: list[float]) -> Iterator[Image]:
    with av.open(str(CLIP)) as container:
        for at_s in times:
            container.seek(round(at_s * av.time_base))
            yield next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def nsfw_answers(path: Path, pictures: list[Image]) -> Inputs:
    """In every batch size."""
    recorder = Recorder(path)
    voice = Nsfwjs(recorder)
    for picture in pictures:
        voice.shares([picture])
    voice.shares([picture[:, ::-1] for picture in pictures[:4]])
    return recorder.answers


def open_nsfw_answers(path: Path, pictures: list[Image]) -> Inputs:
    """In every batch size."""
    recorder = Recorder(path)
    voice = OpenNsfw(recorder)
    for picture in pictures:
        voice.chances([picture])
    voice.chances([np.ascontiguousarray(picture[:, ::-1]) for picture in pictures[:4]])
    return recorder.answers


def locator_answers(path: Path, pictures: list[Image]) -> Inputs:
    """On every canvas: cuts of the pictures in its proportions."""
    recorder = Recorder(path)
    locator = text_locator.TextLocator(recorder)
    for picture in pictures:
        locator.locate(picture, limit=64)
    for height, width in text_locator._CANVASES:
        scale = min(720 / height, 1280 / width)
        locator.locate(np.ascontiguousarray(pictures[0][: int(height * scale), : int(width * scale)]), limit=64)
    return recorder.answers


def reader_answers(path: Path, pictures: list[Image]) -> Inputs:
    """In every width and batch size: strips of the pictures."""
    recorder = Recorder(path)
    reader = text_reader.TextReader(recorder)
    for width, sizes in reader._sizes.items():
        height = min(48.0, 1280 * 48 / width)
        for size in sizes:
            tops = [40.0 + 70 * strip for strip in range(size)]
            right = width * height / 48
            crops = [pictures[0][round(top) : round(top + height), : round(right)] for top in tops]
            reader.read(crops)
    return recorder.answers


def objects_answers(path: Path, pictures: list[Image]) -> Inputs:
    """In every batch size."""
    recorder = Recorder(path)
    detector = ObjectsDetector(recorder, {}, ObjectsConfig())
    shown = [frame_of(picture) for picture in pictures]
    detector.detect(shown[:1])
    detector.detect(shown[:4])
    return recorder.answers


def scenes_answers(path: Path, pictures: list[Image]) -> Inputs:
    """In every batch size."""
    recorder = Recorder(path)
    embedder = Embedder(recorder)
    shown = [placed(picture) for picture in pictures]
    embedder.run(shown[:1])
    embedder.run(shown[:4])
    return recorder.answers


ANSWERS = {
    "efficientnet-lite0": scenes_answers,
    "nanodet-coco": objects_answers,
    "nsfwjs-inception-v3": nsfw_answers,
    "nsfwjs-mobilenet-v2": nsfw_answers,
    "open-nsfw": open_nsfw_answers,
    "ppocrv6-det-small": locator_answers,
    "ppocrv6-rec-small": reader_answers,
}
SHAPES = {
    "efficientnet-lite0": {(1, 3, 224, 224), (4, 3, 224, 224)},
    "nanodet-coco": {(1, 3, 416, 416), (4, 3, 416, 416)},
    "nsfwjs-inception-v3": {(1, 299, 299, 3), (4, 299, 299, 3)},
    "nsfwjs-mobilenet-v2": {(1, 224, 224, 3), (4, 224, 224, 3)},
    "open-nsfw": {(1, 224, 224, 3), (4, 224, 224, 3)},
    "ppocrv6-det-small": {(1, 3, *canvas) for canvas in text_locator._CANVASES},
    "ppocrv6-rec-small": {(n, 3, 48, width) for width, sizes in text_reader._BATCH_SIZES.items() for n in sizes},
}

MODELS = tuple(ANSWERS)


@pytest.fixture(scope="module")
def reference(pictures: list[Image]) -> dict[str, Inputs]:
    return {model: ANSWERS[model](weights(model), pictures) for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_the_pictures_take_a_model_through_all_of_its_shapes(model: str, reference: dict[str, Inputs]) -> None:
    assert {value.shape for shown, _ in reference[model] for value in shown.values()} == SHAPES[model]
    # Not by blank pictures, of which any provider would say the same.
    assert max(float(outputs[0].max()) for _, outputs in reference[model]) > 0.4


@pytest.mark.parametrize(("provider", "threads", "tolerance"), VARIANTS, ids=str)
@pytest.mark.parametrize("model", MODELS)
def test_a_provider_answers_as_the_cpu_does(
    model: str, provider: str, threads: int | None, tolerance: float, reference: dict[str, Inputs]
) -> None:
    if not is_present(onnx_runtime(), provider):
        pytest.skip(f"no {NAMES[provider]} here")
    try:
        session = open_session(weights(model), provider, threads)
    except ProviderUnavailable as error:
        pytest.skip(str(error))
    for shown, wanted in reference[model]:
        for got, expected in zip(session.run(shown), wanted, strict=True):
            largest = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * largest)
    session.close()
