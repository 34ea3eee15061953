"""The nets of `nsfw` and `nudity` on their real weights: they say what their authors' own code says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from streammon.detect.nsfw.config import NudityConfig
from streammon.detect.nsfw.nsfwjs import Nsfwjs
from streammon.detect.nsfw.nudity import NudityDetector
from streammon.detect.nsfw.open_nsfw import OpenNsfw
from streammon.detect.runtime.session import Session, open_session
from streammon.entities import Frame, Image, Moment
from streammon.models.catalog import load_catalog
from tests.needs import need

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "tests" / "fixtures" / "nsfwjs"
NSFWJS = json.loads((PICTURES / "expected.json").read_text(encoding="utf-8"))["models"]
OPEN_NSFW = json.loads((PICTURES.parent / "open_nsfw" / "expected.json").read_text(encoding="utf-8"))["pictures"]
NUDENET = load_catalog().get("nudenet-320n")


def opened(model: str) -> Session:
    """Skips without weights, but in CI their absence is a failure, unless their licence has to be accepted."""
    path = ROOT / "models" / f"{model}.onnx"
    missing = None if path.is_file() else f"no {path}; `streammon models pull {model}` fetches it"
    if missing is not None and not load_catalog().get(model).licence.permissive:
        pytest.skip(missing)
    need("weights", missing)
    return open_session(path, "cpu")


def picture(name: str) -> Image:
    bgr = cv2.imread(str(PICTURES / f"{name}.png"))
    assert bgr is not None
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, pictures in NSFWJS.items() for name in pictures])
def test_the_first_voice_says_what_nsfwjs_says(model: str, name: str) -> None:
    (shares,) = Nsfwjs(opened(model)).shares([picture(name)])
    said = {raw: getattr(shares, raw.lower()) for raw in NSFWJS[model][name]}
    assert said == pytest.approx(NSFWJS[model][name], abs=1e-3)


@pytest.mark.parametrize("name", sorted(OPEN_NSFW))
def test_the_second_voice_says_what_its_package_says(name: str) -> None:
    """The tolerance is for another Pillow; without the JPEG `figure` is off by far more."""
    (chance,) = OpenNsfw(opened("open-nsfw")).chances([picture(name)])
    assert chance == pytest.approx(OPEN_NSFW[name], abs=2e-3)


def test_a_batch_says_what_its_pictures_say_alone() -> None:
    second, pictures = OpenNsfw(opened("open-nsfw")), [picture(name) for name in sorted(OPEN_NSFW)]
    assert second.chances(pictures) == pytest.approx([second.chances([one])[0] for one in pictures], abs=1e-5)


@pytest.mark.parametrize("shape", [(720, 1280), (1, 1), (20_000, 10)], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def test_no_naked_parts_in_noise_and_drawn_figures(shape: tuple[int, int]) -> None:
    detector = NudityDetector(opened(NUDENET.name), NUDENET.label_map, NudityConfig())
    detector.warm_up()
    noise = np.random.default_rng(5).integers(0, 256, (*shape, 3), np.uint8)
    for image in (noise, picture("figure")):
        assert detector.detect([frame(image)]) == [()]


def frame(image: Image) -> Frame:
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=image.shape[1], height=image.shape[0], image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip
