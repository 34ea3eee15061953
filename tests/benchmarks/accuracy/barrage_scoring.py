"""Holds what was read in a room's samples against what was written there. Pure."""

from __future__ import annotations

import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from streammon.entities import Detection
from tests.benchmarks.accuracy.barrage_plan import HEIGHT, WIDTH, Area, Written
from tests.benchmarks.accuracy.barrage_video import Room

_LEAST_CONTRAST, _LEAST_PX = 3.0, 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a legible line. `text` is what was read of it in the end, without white space; "" for nothing.

    `seen`: samples in which it was read.
    """

    line: Written
    text: str
    seen: int

    @property
    def wanted(self) -> str:
        """What is written there, as `text` is told."""
        return folded(self.line.text)

    @property
    def edits(self) -> int:
        """Characters to change, add or take away."""
        return Levenshtein.distance(self.wanted, self.text)


def folded(text: str) -> str:
    """NFKC, without white space: what is compared."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def outcomes(room: Room, read: Sequence[Sequence[Detection]]) -> list[Outcome]:
    """Every legible line that some sample shows. `read` are the detections in each of the room's samples.

    Legible: at least 14 px, and a contrast (WCAG 2) of 3 : 1 or more in the median of the samples that show at least
    half of the line.
    """
    return [_outcome(room, number, read) for number in range(len(room.lines)) if legible(room, number)]


def legible(room: Room, number: int) -> bool:
    """Whether line `number` can be expected to be read. One that is there before or after the recording cannot be, if
    it flies: its life on screen is not known.
    """
    flight = room.lines[number].flight
    if flight.speed_px_s and (flight.start_s < 0 or flight.end_s > room.duration_s):
        return False
    contrasts = [sample.contrast[number] for sample in room.samples if number in sample.contrast]
    large = room.lines[number].look.size_px >= _LEAST_PX
    return large and bool(contrasts) and statistics.median(contrasts) >= _LEAST_CONTRAST


def _outcome(room: Room, number: int, read: Sequence[Sequence[Detection]]) -> Outcome:
    line, best, seen = room.lines[number], (0, 0.0, 0.0, ""), 0
    for sample, detections in zip(room.samples, read, strict=True):
        if line.shown(sample.at_s) == 0:
            continue
        within = sorted(
            (d for d in detections if _overlap(_pixels(d), line.area(sample.at_s)) >= 0.5), key=lambda d: _pixels(d)[0]
        )
        if within:
            seen += 1
            text = folded("".join(d.text or "" for d in within))
            best = max(best, (_reads(within), min(d.score for d in within), sample.at_s, text))
    return Outcome(line=line, text=best[-1], seen=seen)


def _reads(detections: Sequence[Detection]) -> int:
    """Of how many readings the text is made; what several say weighs more than what one says."""
    return min(d.line.reads if d.line is not None else 1 for d in detections)


def _pixels(detection: Detection) -> Area:
    box = detection.box
    assert box is not None
    return box.x * WIDTH, box.y * HEIGHT, (box.x + box.w) * WIDTH, (box.y + box.h) * HEIGHT


def _overlap(found: Area, line: Area) -> float:
    """The share of the found line's width that lies on the line that was written; 0 where it lies in another row."""
    width, height = min(found[2], line[2]) - max(found[0], line[0]), line[3] - line[1]
    if abs((found[1] + found[3]) - (line[1] + line[3])) > height or found[2] <= found[0]:
        return 0.0
    return max(0.0, width) / (found[2] - found[0])
