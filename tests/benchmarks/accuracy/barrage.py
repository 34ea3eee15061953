"""How well barrage is read over its life on screen, and what that costs. `measure` is a part of `make accuracy`.

Lines are drawn over real video with a fixed seed, encoded as a live stream is, sampled every two seconds, and read by
the detector as it is configured by default. Nothing was tuned on the seed that is reported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

from streammon.detect.change.picture_print import print_of
from streammon.detect.config import DetectConfig
from streammon.detect.registry import build_detectors
from streammon.detect.text.detector import OcrDetector
from streammon.detect.text.engine import SessionEngine
from streammon.detect.text.quiet import came_in
from streammon.detect.text.reader import TextReader
from streammon.entities import Detection, Frame, Image, Moment
from tests.benchmarks.accuracy.barrage_scoring import legible, outcomes
from tests.benchmarks.accuracy.barrage_video import Density, Room, Sample, room
from tests.benchmarks.bench_detectors import parts

DEVELOPED_ON, REPORTED = 1, 2
"""Seeds. Two rooms of a minute for each."""
_DURATION_S, _LINES = 60, 110
_FLYING = (0, 30, 60)
_QUIET_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was read in each sample, how many places were recognised in all, and core-milliseconds of each sample."""

    read: tuple[tuple[Detection, ...], ...]
    recognised: int
    each_core_ms: tuple[float, ...]

    @property
    def core_ms(self) -> float:
        """Of a sample on average."""
        return mean(self.each_core_ms)


class Counted(TextReader):
    """A reader that counts what it is given to read."""

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self.places = 0

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        self.places += len(crops)
        return self._reader.read(crops)

    def close(self) -> None:
        self._reader.close()


def run(samples: Sequence[Sample], *, followed: bool = True) -> Run:
    """Reads a room's samples in order. Not `followed`: each as if it were the first of its room."""
    (detector,) = build_detectors(["ocr"], parts(DetectConfig()))
    assert isinstance(detector, OcrDetector)
    assert isinstance(detector._engine, SessionEngine)
    detector.warm_up()
    counted = detector._engine._reader = Counted(detector._engine._reader)
    read, took_ms = [], []
    for number, sample in enumerate(samples):
        frame = _frame(sample, number, "followed" if followed else str(number))
        began_s = time.process_time()
        read += detector.detect([frame])
        took_ms.append(1000 * (time.process_time() - began_s))
    detector.close()
    return Run(read=tuple(read), recognised=counted.places, each_core_ms=tuple(took_ms))


def exactness(shown: Room, read: Sequence[Sequence[Detection]]) -> tuple[int, int, int, int]:
    """Legible lines, those of which the text is exact in the end, characters of all, and edits that they lack."""
    found = outcomes(shown, read)
    exact = sum(one.text == one.wanted for one in found)
    return len(found), exact, sum(len(one.wanted) for one in found), sum(one.edits for one in found)


def barrage(eval_dir: Path | None, seed: int) -> dict[str, float | int | None]:
    """How much of what is written is read, and from how many readings; beside it every picture read by itself."""
    shown = room(seed, _DURATION_S, Density(flying=_LINES), eval_dir)
    followed, plain = run(shown.samples), run(shown.samples, followed=False)
    lines, exact, characters, edits = exactness(shown, followed.read)
    _, plain_exact, _, _ = exactness(shown, plain.read)
    return {
        "ocr_lines_n": lines,
        "ocr_exact": round(exact / lines, 3),
        "ocr_cer": round(edits / characters, 4),
        "ocr_readings": followed.recognised,
        "ocr_core_ms": round(followed.core_ms),
        "ocr_exact_plain": round(plain_exact / lines, 3),
        "ocr_readings_plain": plain.recognised,
        "ocr_core_ms_plain": round(plain.core_ms),
    }


def growth(seed: int) -> dict[str, float | int | None]:
    """Readings in a minute with ten lines that stand and more and more that fly, followed and each picture alone."""
    figures: dict[str, float | int | None] = {}
    for flying in _FLYING:
        shown = room(seed, _DURATION_S, Density(flying=flying, standing=0, overlays=10))
        followed, plain = run(shown.samples), run(shown.samples, followed=False)
        drawn = sum(line.flight.speed_px_s != 0 for line in shown.lines)
        figures |= {
            f"readings_{drawn}_flying": followed.recognised,
            f"readings_{drawn}_flying_plain": plain.recognised,
            f"core_ms_{drawn}_flying": round(followed.core_ms),
            f"core_ms_{drawn}_flying_plain": round(plain.core_ms),
        }
    return figures


def quiet(seed: int) -> dict[str, float | int | None]:
    """Core-milliseconds per picture of a room that has shown no text for a minute."""
    shown = room(seed, _QUIET_S, Density(flying=0, standing=0, overlays=0))
    late = run(shown.samples).each_core_ms[len(shown.samples) // 2 :]
    return {"text_core_ms_quiet": round(mean(late), 1)}


def hint(eval_dir: Path | None, seed: int) -> dict[str, float | int | None]:
    """Looks at which one legible line has come into a picture, and those at which the cheap look would pass it over."""
    lined = room(seed, _DURATION_S, Density(flying=_LINES // 2, standing=4, overlays=0), eval_dir)
    empty = room(seed, _DURATION_S, Density(flying=0, standing=0, overlays=0), eval_dir)
    looks = missed = passed_over = 0
    # A clip of the material shows itself in two samples running, and the second of them is held against the first.
    for number in range(1, len(lined.samples), 2):
        before = [print_of(empty.samples[number - 1].picture)]
        passed_over += not came_in(before, print_of(empty.samples[number].picture))
        for line in (lined.lines[index] for index in lined.samples[number].contrast if legible(lined, index)):
            left, top, right, bottom = (max(0, round(edge)) for edge in line.area(lined.samples[number].at_s))
            picture = empty.samples[number].picture.copy()
            picture[top:bottom, left:right] = lined.samples[number].picture[top:bottom, left:right]
            looks += 1
            missed += not came_in(before, print_of(picture))
    quiet_looks = len(range(1, len(lined.samples), 2))
    return {
        "text_hint_looks": looks,
        "text_hint_missed": missed,
        "text_hint_quiet_looks": quiet_looks,
        "text_hint_quiet_searched": quiet_looks - passed_over,
    }


def measure(eval_dir: Path | None) -> dict[str, float | int | None]:
    """All figures; over the drawn room where there is no `eval_dir`."""
    return barrage(eval_dir, REPORTED) | growth(REPORTED) | quiet(REPORTED) | hint(eval_dir, REPORTED)


def _frame(sample: Sample, number: int, room_id: str) -> Frame:
    height, width = sample.picture.shape[:2]
    moment = Moment(session=1, pts_s=sample.at_s, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id=room_id, moment=moment, seq=number + 1, key_frame=True, width=width, height=height,
        image=sample.picture, received_s=sample.at_s, deadline_s=sample.at_s + 4,
    )  # fmt: skip


def main() -> int:
    """Prints the figures as JSON, with those of the seed that the reader was developed on beside."""
    eval_dir = Path(os.environ["EVAL_DIR"]) if os.environ.get("EVAL_DIR") else None
    print(json.dumps({"developed_on": barrage(eval_dir, DEVELOPED_ON)}))
    print(json.dumps(measure(eval_dir)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
