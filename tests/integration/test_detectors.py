"""The detectors on their real weights and on the sample clip: they see what is there and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector, ScreeningDetector
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Box, Detection, Frame, Image, Moment
from streammon.models.catalog import load_catalog
from tests.needs import need

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "sample_streams" / "room.mp4"
TRUTH: dict[str, Any] = json.loads(CLIP.with_suffix(".json").read_text(encoding="utf-8"))
WEIGHTS = {name: ROOT / "models" / model.file_name for name, model in load_catalog().models.items() if model.by_default}

DEFAULT = ("nsfw", "qr", "ocr")


def parts(provider: str) -> Parts:
    label_maps = {name: model.label_map for name, model in load_catalog().models.items()}
    config = DetectConfig.model_validate({"provider": provider})
    return Parts(weights=WEIGHTS.__getitem__, label_maps=label_maps, config=config, runtime=Runtime(config))


@pytest.fixture(scope="module")
def weights() -> None:
    """Skips without weights, but in CI their absence is a failure."""
    missing = [str(path) for path in WEIGHTS.values() if not path.is_file()]
    need("weights", f"no {', '.join(missing)}; `streammon models pull` fetches them" if missing else None)


@pytest.fixture(scope="module")
def detectors(weights: None) -> Iterator[list[Detector]]:
    built = build_detectors(DEFAULT, parts("auto"))
    for detector in built:
        detector.warm_up()
    yield built
    for detector in built:
        detector.close()


def frame(image: Image) -> Frame:
    height, width = image.shape[:2]
    image.flags.writeable = False
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def seen(detectors: list[Detector], image: Image) -> dict[str, tuple[Detection, ...]]:
    """Each detector's detections."""
    shown = frame(image)
    return {detector.name: detector.detect([shown])[0] for detector in detectors}


def picture(at_s: float) -> Image:
    """The clip's first picture at or after this time."""
    with av.open(str(CLIP)) as container:
        container.seek(round(at_s * av.time_base))
        shown = next(p for p in container.decode(video=0) if p.time is not None and p.time >= at_s)
        return shown.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def folded(text: str) -> str:
    return "".join(text.split()).casefold()


def test_english_drawn_into_a_picture_is_read_where_it_stands(detectors: list[Detector]) -> None:
    image = np.full((720, 1280, 3), (60, 90, 120), np.uint8)
    cv2.putText(
        image, "ADD WECHAT abc12345", (300, 400), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (255, 255, 255), 2, cv2.LINE_AA
    )
    (line,) = seen(detectors, image)["ocr"]
    assert folded(line.text or "") == "addwechatabc12345"
    assert line.label is None
    assert line.score > 0.9
    assert line.box is not None
    assert (line.box.x * 1280, line.box.y * 720) == pytest.approx((300, 360), abs=25)
    assert line.box.w * 1280 == pytest.approx(480, abs=60)


@pytest.mark.parametrize("violation", TRUTH["violations"], ids=lambda violation: str(violation["label"]))
def test_what_the_clip_carries_is_seen_throughout(detectors: list[Detector], violation: dict[str, Any]) -> None:
    start_s, end_s = violation["start_s"], violation["end_s"]
    for at_s in (start_s + 1.0, (start_s + end_s) / 2, end_s - 1.0):
        found = seen(detectors, picture(at_s))
        if violation["payload"] is not None:
            assert violation["payload"] in [reading.qr.payload for reading in found["qr"] if reading.qr is not None]
        else:
            assert any(folded(violation["text"]) in folded(line.text or "") for line in found["ocr"])


def test_the_clip_is_safe_for_work_and_its_quiet_stretches_carry_nothing(detectors: list[Detector]) -> None:
    middles = [(stretch["start_s"] + stretch["end_s"]) / 2 for stretch in TRUTH["quiet"]]
    forbidden = [folded(violation["text"]) for violation in TRUTH["violations"] if violation["text"] is not None]
    for at_s in middles:
        found = seen(detectors, picture(at_s))
        assert [d.score for d in found["nsfw"] if d.score >= 0.5] == []
        assert found["qr"] == ()
        assert not any(text in folded(line.text or "") for text in forbidden for line in found["ocr"])


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_neither_text_nor_code(detectors: list[Detector], level: int) -> None:
    found = seen(detectors, np.full((720, 1280, 3), level, np.uint8))
    assert (found["ocr"], found["qr"]) == ((), ())


@pytest.mark.parametrize("shape", [(1, 1), (1, 1280), (20000, 10), (10, 20000), (37, 41), (2160, 3840)])
def test_no_shape_breaks_a_detector(detectors: list[Detector], shape: tuple[int, int]) -> None:
    seen(detectors, np.zeros((*shape, 3), np.uint8))
    seen(detectors, np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8))


def test_of_500_lines_some_are_read_in_each_picture_until_all_that_are_followed_are(detectors: list[Detector]) -> None:
    image = np.full((1080, 1920, 3), 40, np.uint8)
    for row, column in np.ndindex(50, 10):
        at = (10 + column * 190, 16 + row * 21)
        cv2.putText(image, f"line {row:02d} {column}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255,) * 3, 1, cv2.LINE_AA)
    (ocr,) = (detector for detector in detectors if detector.name == "ocr")
    shown, told = replace(frame(image), room_id="crowded"), list[set[str]]()
    for seq in range(1, 12):
        later = replace(shown, seq=seq, moment=replace(shown.moment, pts_s=2.0 * seq))
        told.append({folded(line.text or "") for line in ocr.detect([later])[0]})
    assert len(told[0]) <= 64
    assert len(max(told, key=len)) >= 200
    written = {f"line{row:02d}{column}" for row, column in np.ndindex(50, 10)}
    assert len(max(told, key=len) & written) >= 0.9 * len(max(told, key=len))


STILL = Box(x=0.35, y=0.3, w=0.2, h=0.4)
"""A part of the picture in which something has changed, 256 x 288 pixels of 1280 x 720."""


def screens(detectors: list[Detector], image: Image, part: Box) -> bool:
    """Whether the reader of text says that there may be something for it in the part."""
    (ocr,) = (detector for detector in detectors if detector.name == "ocr")
    assert isinstance(ocr, ScreeningDetector)
    return ocr.may_see(frame(image), part)


def with_line(level: int, x: int, y: int, scale: float = 0.6) -> Image:
    image = np.full((720, 1280, 3), 110, np.uint8)
    cv2.putText(image, "add wx 8812 abc", (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (level,) * 3, 1, cv2.LINE_AA)
    return image


@pytest.mark.parametrize(
    ("level", "x", "y"),
    [
        (255, 500, 400), (170, 500, 400), (60, 500, 400),
        (255, 350, 400), (255, 600, 400), (255, 500, 222), (255, 460, 510),
    ],
    ids=["bright", "faint", "dark", "across left", "across right", "across top", "across bottom"],
)  # fmt: skip
def test_no_line_that_reaches_into_what_changed_escapes_the_reader(
    detectors: list[Detector], level: int, x: int, y: int
) -> None:
    assert screens(detectors, with_line(level, x, y), STILL)


def test_the_reader_is_not_asked_to_look_for_what_lies_elsewhere_nor_for_nothing(detectors: list[Detector]) -> None:
    assert not screens(detectors, with_line(255, 20, 60, 1.0), STILL)
    assert not screens(detectors, np.full((720, 1280, 3), 110, np.uint8), STILL)


@pytest.mark.parametrize("shape", [(720, 1280), (1280, 720), (480, 640), (240, 320)])
def test_a_part_of_any_picture_may_be_screened_but_one_that_is_nearly_all_of_it_is_not(
    detectors: list[Detector], shape: tuple[int, int]
) -> None:
    image = np.full((*shape, 3), 110, np.uint8)
    assert not screens(detectors, image, Box(x=0.7, y=0.7, w=0.3, h=0.3))
    assert screens(detectors, image, Box(x=0.0, y=0.1, w=1.0, h=0.9))
