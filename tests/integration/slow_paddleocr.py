"""The official package as it is installed: it reads what our own engine reads, and never outlives or stops us.

`make paddleocr` makes its environment.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from sample_streams.live_hls import LiveHls
from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.registry import build_detectors
from streammon.detect.scheduling.running import look
from streammon.detect.text.detector import OcrDetector
from streammon.detect.text.paddle_engine import PaddleEngine
from streammon.entities import Box, Frame, Image, Moment
from streammon.errors import ModelProcessLost
from tests.benchmarks.accuracy.barrage_scoring import folded
from tests.benchmarks.accuracy.barrage_video import Density, Room, room
from tests.benchmarks.bench_detectors import frames as key_frames
from tests.benchmarks.bench_detectors import parts
from tests.integration.watching import CLIP, Watching
from tests.needs import need

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".cache" / "paddleocr" / "bin" / "python"
WORKER = ROOT / "streammon" / "detect" / "paddle" / "worker.py"
AGREEMENT = 0.85
"""The least share of lines that both engines read, of all that either reads; 139 of 166 when this was written."""
UP_WITHIN_S = 120.0
PART = Box(x=0.35, y=0.3, w=0.2, h=0.4)


def config(**paddleocr: object) -> DetectConfig:
    section = {"python": str(PYTHON), "startup_timeout": UP_WITHIN_S, "timeout": 60.0, **paddleocr}
    return DetectConfig.model_validate({"provider": "cpu", "ocr": {"engine": "paddleocr", "paddleocr": section}})


def opened(config: DetectConfig) -> OcrDetector:
    (detector,) = build_detectors(["ocr"], parts(config))
    assert isinstance(detector, OcrDetector)
    detector.warm_up()
    return detector


@pytest.fixture(scope="module")
def environment() -> None:
    """Skips without the environment or the weights, but in CI their absence is a failure."""
    need("the official package", None if PYTHON.exists() else "not installed: `make paddleocr` installs it")
    laid_out = ROOT / "models" / "paddle" / "PP-OCRv6_small_rec" / "inference.yml"
    need("weights", None if laid_out.exists() else f"no {laid_out}; `streammon models pull` makes it")


@pytest.fixture(scope="module")
def official(environment: None) -> Iterator[OcrDetector]:
    detector = opened(config())
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def ours(environment: None) -> Iterator[OcrDetector]:
    detector = opened(DetectConfig(provider="cpu"))
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def shown() -> Room:
    """Twelve seconds of the drawn room at a live bitrate, with lines that fly and lines that stand."""
    return room(11, 12, Density(flying=30, standing=4, overlays=4))


def frame(image: Image, name: str) -> Frame:
    """Of a room of its own, so that nothing is known of it."""
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id=name, moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip


def texts(detector: Detector, images: Sequence[Image]) -> list[Counter[str]]:
    """The lines in each picture, after NFKC and without white space."""
    read = (detector.detect([frame(image, str(number))])[0] for number, image in enumerate(images))
    return [Counter(folded(line.text or "") for line in lines) for lines in read]


def pid_of(detector: OcrDetector) -> int:
    engine = detector._engine
    assert isinstance(engine, PaddleEngine)
    pid = engine._process.pid
    assert pid is not None
    return pid


def looked(detector: OcrDetector, picture: Frame) -> bool:
    """Whether the detector looks at it; a moment later where it does not."""
    try:
        look(detector, [picture], [{}])
    except ModelProcessLost:
        time.sleep(0.1)
        return False
    return True


def gone(pid: int) -> bool:
    """Whether a process ends within a while. One that was not reaped yet has ended."""
    until_s = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < until_s:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_both_engines_read_the_same_lines(official: OcrDetector, ours: OcrDetector, shown: Room) -> None:
    images = [one.image for one in key_frames()] + [sample.picture for sample in shown.samples]
    pairs = list(zip(texts(official, images), texts(ours, images), strict=True))
    equal = sum((one & other).total() for one, other in pairs)
    either = sum((one | other).total() for one, other in pairs)
    print(f"\n{len(images)} pictures: {equal} lines read equally of {either} that either engine reads")
    assert either > 50
    assert equal >= AGREEMENT * either


def test_it_is_told_as_what_it_is(official: OcrDetector) -> None:
    image = np.full((720, 1280, 3), (60, 90, 120), np.uint8)
    cv2.putText(image, "ADD WECHAT abc12345", (300, 400), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (255,) * 3, 2, cv2.LINE_AA)
    ((line,),) = official.detect([frame(image, "drawn")])
    assert (folded(line.text or ""), line.model) == (
        "ADDWECHATabc12345",
        "paddleocr:PP-OCRv6_small_det+PP-OCRv6_small_rec",
    )
    assert line.box is not None
    assert (line.box.x * 1280, line.box.y * 720) == pytest.approx((300, 360), abs=25)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1280), (20000, 10), (10, 20000), (37, 41), (2160, 3840)])
def test_no_shape_breaks_it(official: OcrDetector, shape: tuple[int, int]) -> None:
    before = pid_of(official)
    for image in (np.zeros((*shape, 3), np.uint8), np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)):
        official.detect([frame(image, f"{shape}")])
    assert pid_of(official) == before


@pytest.mark.parametrize(("level", "x", "y"), [(255, 500, 400), (170, 500, 400), (60, 500, 400), (255, 350, 400)])
def test_what_changed_is_screened_for_lines(official: OcrDetector, level: int, x: int, y: int) -> None:
    image = np.full((720, 1280, 3), 110, np.uint8)
    assert not official.may_see(frame(image, "grey"), PART)
    cv2.putText(image, "add wx 8812 abc", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (level,) * 3, 1, cv2.LINE_AA)
    assert official.may_see(frame(image, "line"), PART)


def test_one_that_was_killed_is_told_and_replaced(environment: None) -> None:
    detector = opened(config())
    first = pid_of(detector)
    os.kill(first, signal.SIGKILL)
    picture = frame(np.full((360, 640, 3), 90, np.uint8), "grey")
    with pytest.raises(ModelProcessLost):
        look(detector, [picture], [{}])
    assert any(looked(detector, picture) for _ in range(600))
    second = pid_of(detector)
    detector.close()
    detector.close()
    assert gone(first)
    assert gone(second)


CONFIG = f"""
version: 1
detectors: [ocr]
detect: {{provider: cpu, ocr: {{engine: paddleocr, paddleocr: {{python: {PYTHON}}}}}}}
"""


def child_of(pid: int) -> int:
    """The worker that a monitor has started."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    (found,) = [one for one in children if str(WORKER).encode() in Path(f"/proc/{one}/cmdline").read_bytes()]
    return found


def test_a_monitor_judges_what_it_reads_and_takes_it_along_when_killed(environment: None, tmp_path: Path) -> None:
    (tmp_path / "streammon.yaml").write_text(CONFIG)
    options = ("-c", str(tmp_path / "streammon.yaml"), "--interval", "1s", "--events", str(tmp_path / "events.jsonl"))
    with LiveHls(CLIP) as live, Watching(tmp_path, live.url, "r", *options) as watching:
        watching.wait_until_said("START", UP_WITHIN_S)
        child = child_of(watching._process.pid)
        watching.kill()
        assert gone(child)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    started = next(event["data"] for event in events if event["type"] == "streammon.violation.v1")
    assert {hit["model"] for hit in started["hits"]} == {"paddleocr:PP-OCRv6_small_det+PP-OCRv6_small_rec"}
