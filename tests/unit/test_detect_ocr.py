"""The reader of text over several rooms at once: what has to be read of all of them is read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np

from streammon.detect.text.config import OcrConfig
from streammon.detect.text.detector import OcrDetector
from streammon.detect.text.locator import Quad
from streammon.entities import Box, Frame, Image, Moment


class BarsEngine:
    """An engine for white bars on black: reads how wide each is, and notes how many it was given at once."""

    model, max_batch, parallel = "bars", 8, 1

    def __init__(self) -> None:
        self.read_at_once: list[int] = []

    def warm_up(self) -> None: ...

    def locate(self, image: Image, limit: int, *, fine: bool) -> list[Quad]:  # noqa: ARG002
        found, _ = cv2.findContours(cv2.inRange(image[..., 0], 128, 255), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        boxes = sorted(tuple(cv2.boundingRect(bar)) for bar in found)[:limit]
        return [np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32) for x, y, w, h in boxes]

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        self.read_at_once.append(len(crops))
        return [(f"wide {int((crop[..., 0] > 128).any(axis=0).sum())}", 1.0) for crop in crops]

    def may_have(self, image: Image, part: Box) -> bool:  # noqa: ARG002
        return True

    def close(self) -> None: ...


def frame(room: str, at_s: float, *widths: int) -> Frame:
    image = np.zeros((360, 640, 3), np.uint8)
    for number, width in enumerate(widths):
        image[30 + 60 * number : 60 + 60 * number, 20 : 20 + width] = 255
    image.flags.writeable = False
    moment = Moment(session=1, pts_s=at_s, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id=room, moment=moment, seq=round(at_s), key_frame=True, width=640, height=360, image=image,
        received_s=at_s, deadline_s=at_s + 5,
    )  # fmt: skip


def texts(detector: OcrDetector, *frames: Frame) -> list[list[str | None]]:
    return [[one.text for one in told] for told in detector.detect(frames)]


def test_lines_of_several_rooms_are_read_in_one_go_and_each_is_told_of_its_own() -> None:
    engine = BarsEngine()
    shown = frame("a", 1, 100, 200), frame("b", 1), frame("c", 1, 300)
    assert texts(OcrDetector(engine, OcrConfig()), *shown) == [["wide 100", "wide 200"], [], ["wide 300"]]
    assert engine.read_at_once == [3]


def test_two_frames_of_one_room_are_looked_at_one_after_the_other_and_a_line_that_stands_is_read_once() -> None:
    engine = BarsEngine()
    first, other = frame("a", 1, 100), frame("b", 1, 200)
    second = replace(frame("a", 3, 100), seq=2)
    assert texts(OcrDetector(engine, OcrConfig()), first, second, other) == [["wide 100"], ["wide 100"], ["wide 200"]]
    assert engine.read_at_once == [2, 0]


def test_of_more_lines_than_are_read_in_a_frame_the_others_are_read_in_the_next() -> None:
    engine = BarsEngine()
    detector = OcrDetector(engine, OcrConfig(max_lines=2))
    widths = (100, 200, 300, 400, 500)
    seen = [texts(detector, replace(frame("a", at_s, *widths), seq=at_s))[0] for at_s in (1, 3, 5)]
    assert [len(told) for told in seen] == [2, 4, 5]
    assert engine.read_at_once == [2, 2, 1]
