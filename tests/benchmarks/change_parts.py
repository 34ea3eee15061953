"""Whether the text reader is asked to look wherever there is something new for it to read. For bench_change.

A head sways in a still room, so that some part is always new; text comes in anywhere: apart from the head, beside it,
across what it changes, at the picture's edge. Each picture goes through a live encoder, and the whole is read as well.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from streammon.detect.change.picture_print import changed, print_of
from streammon.detect.runtime.session import open_session
from streammon.detect.text.config import OcrConfig
from streammon.detect.text.detector import OcrDetector
from streammon.detect.text.engine import SessionEngine
from streammon.entities import Box, Detection, Frame, Image
from tests.unit.colours import frame as plain_frame
from tests.unit.test_detect_change import HEIGHT, RATE, WIDTH, live, room_picture

MODELS = Path(__file__).resolve().parents[2] / "models"
WORDS = ("add wx 8812 abc", "FREE SPINS 777", "call 555 0199", "www.bet24.example")
# Of a newcomer's characters, so many in order are its being read.
_READ = 0.7


def open_reader() -> OcrDetector:
    """The reader as it ships, on one thread of the CPU. Raises ModelMissing."""
    detection, recognition = (open_session(MODELS / f"ppocrv6-{one}-small.onnx", "cpu", 1) for one in ("det", "rec"))
    return OcrDetector(SessionEngine(detection, recognition), OcrConfig())


def shown(seed: int, newcomers: int) -> Iterator[tuple[str, Image]]:
    """The newest text in a room and the picture, a second of each text. The first has none."""
    rng = np.random.default_rng(seed)
    picture, word = room_picture(seed), ""
    middle = int(rng.integers(200, WIDTH - 200)), int(rng.integers(200, HEIGHT - 160))
    for number in range(newcomers + 1):
        if number:
            picture, word = picture.copy(), WORDS[int(rng.integers(len(WORDS)))]
            _write(picture, word, middle, rng)
        for at in range(RATE):
            yield word, _with_head(picture, middle, at + number)


def _write(picture: Image, word: str, head: tuple[int, int], rng: np.random.Generator) -> None:
    """Text of 14 to 28 px, at a contrast of 60 to 160 levels with what lies under it."""
    scale = float(rng.uniform(0.6, 1.2))
    (wide, tall), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    if rng.random() < 0.5:  # about the head, so across the border of what changes there
        x, y = head[0] + int(rng.integers(-250, 150)), head[1] + int(rng.integers(-200, 200))
    else:
        x, y = int(rng.integers(0, WIDTH - wide)), int(rng.integers(tall, HEIGHT))
    x, y = max(0, min(x, WIDTH - wide)), max(tall, min(y, HEIGHT - 4))
    under = float(picture[y - tall : y, x : x + wide].mean())
    level = under + float(rng.uniform(60, 160)) * (1 if under < 128 else -1)
    cv2.putText(picture, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (level,) * 3, 1, lineType=cv2.LINE_AA)


def _with_head(picture: Image, middle: tuple[int, int], at: int) -> Image:
    made = picture.copy()
    x, y = middle[0] + round(10 * np.sin(at)), middle[1] + round(6 * np.cos(1.7 * at))
    cv2.ellipse(made, (x, y), (60, 80), 0, 0, 360, (205, 160, 135), -1)
    for eye in (-22, 22):
        cv2.circle(made, (x + eye, y - 14), 8, (40, 30, 30), -1)
    cv2.ellipse(made, (x, y + 38), (20, 4 + at % 5), 0, 0, 360, (150, 60, 60), -1)
    return made


def measure(reader: OcrDetector, streams: int, newcomers: int) -> Counter[str]:
    """Every newcomer twice, soon after it came and some pictures later: looks by what came of them.

    `unreadable`: the reader does not read it in the whole picture either.
    """
    came: Counter[str] = Counter()
    for stream in range(streams):
        told = list(shown(5000 + stream, newcomers))
        seen = live([image for _, image in told], stream)
        for number in range(1, newcomers + 1):
            first = number * RATE
            before = print_of(seen[first - 1])
            for later in (4, 11):
                part = changed(before, print_of(seen[first + later])).around
                came[_look(reader, _frame(seen[first + later]), part, told[first][0])] += 1
    return came


def _look(reader: OcrDetector, frame: Frame, part: Box, word: str) -> str:
    (whole,) = reader.detect([frame])
    if not _reads(whole, word):
        return "unreadable"
    return "looked at" if reader.may_see(frame, part) else "missed"


def _reads(found: tuple[Detection, ...], word: str) -> bool:
    return any(difflib.SequenceMatcher(None, word, one.text or "", autojunk=False).ratio() >= _READ for one in found)


def _frame(image: Image) -> Frame:
    made = plain_frame((0, 0, 0), 0.0)
    return Frame(
        room_id="r", moment=made.moment, seq=0, key_frame=True, width=WIDTH, height=HEIGHT, image=image,
        received_s=0.0, deadline_s=4.0,
    )  # fmt: skip
