"""Minors among ordinary portraits, `EVAL_DIR/age` (FairFace, nine groups of age), by the half of the file's name.

A face is called a minor where the surest score of `minors.*` comes to what the policy reviews from. The bucket 10-19
mixes minors and adults: it is told, and counts as neither. The single looks that are simulated are the same portrait
at 100, 80 and 64 px, mirrored or not, as JPEG of quality 50: what several looks are worth where a face stays.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streammon.detect.faces.minors import minor_scores
from streammon.entities import Image
from tests.benchmarks.accuracy.halves import held_out, told
from tests.benchmarks.accuracy.people import models, portraits, subject

REVIEW = 0.6
_CHILDREN, _TEENS = ("0-2", "3-9"), ("10-19",)
_SIZES_PX = (100, 80, 64)


def measure(eval_dir: Path | None) -> dict[str, float | int | None]:
    """Shares of the held-out half that are called minors."""
    figures: dict[str, float | int | None] = {
        "minor_recall_u10": None, "minor_recall_u10_n": 0, "teen_recall": None, "teen_n": 0,
        "adult_as_minor": None, "adult_n": 0, "adult_as_minor_3_of_6": None,
    }  # fmt: skip
    if eval_dir is None:
        return figures
    halves: dict[bool, dict[str, list[tuple[float, str]]]] = {True: {}, False: {}}
    repeated = Counter[str]()
    for item, image, face in portraits(eval_dir / "age"):
        file, bucket = str(item["file"]), str(item["age"])
        scores = {} if face is None else minor_scores(_ages(image, face))
        best = max(scores, key=scores.__getitem__, default="")
        halves[held_out(file)].setdefault(bucket, []).append((scores.get(best, 0.0), best))
        if held_out(file) and face is not None and bucket not in (*_CHILDREN, *_TEENS):
            flagged = sum(_looks(image, face.size_px))
            repeated.update({"n": 1, "any": flagged >= 1, "three": flagged >= 3})
    for name, half in (("develop", halves[False]), ("held out", halves[True])):
        _table(name, half)
    print(f"adults at {_SIZES_PX} px, held out: called a minor in 1 of 6 looks {told(repeated['any'], repeated['n'])}, "
          f"in 3 of 6 {told(repeated['three'], repeated['n'])}")  # fmt: skip
    return figures | _figures(halves[True]) | {
        "adult_as_minor_3_of_6": round(repeated["three"] / repeated["n"], 4) if repeated["n"] else None
    }  # fmt: skip


def _ages(image: Image, face: Any) -> Any:
    ages = models().ages
    return ages.distributions([ages.chip(image, face.points)])[0]


def _looks(image: Image, size_px: float) -> list[bool]:
    """Whether the portrait is called a minor at each size, as it is and mirrored."""
    called = []
    for wanted_px in _SIZES_PX:
        factor = wanted_px / size_px
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        for shown in (small, small[:, ::-1]):
            _, coded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 50])
            seen = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
            face = subject(models().locator.locate(seen), seen)
            called.append(face is not None and max(minor_scores(_ages(seen, face)).values(), default=0) >= REVIEW)
    return called


def _counts(half: dict[str, list[tuple[float, str]]], buckets: Any) -> tuple[int, int]:
    scores = [score for bucket in buckets for score, _ in half.get(bucket, ())]
    return sum(score >= REVIEW for score in scores), len(scores)


def _table(name: str, half: dict[str, list[tuple[float, str]]]) -> None:
    for bucket in sorted(half, key=lambda one: int(one.split("-")[0].rstrip("+"))):
        labels = Counter(label for score, label in half[bucket] if score >= REVIEW)
        print(f"{name:<9} {bucket:<6} called minors {told(*_counts(half, [bucket]))} {dict(labels)}")


def _figures(half: dict[str, list[tuple[float, str]]]) -> dict[str, float | int | None]:
    adults = [bucket for bucket in half if bucket not in (*_CHILDREN, *_TEENS)]
    groups = {
        "minor_recall_u10": ("minor_recall_u10_n", _CHILDREN),
        "teen_recall": ("teen_n", _TEENS),
        "adult_as_minor": ("adult_n", adults),
    }
    figures: dict[str, float | int | None] = {}
    for key, (count, buckets) in groups.items():
        hits, n = _counts(half, buckets)
        print(f"{key} held out: {told(hits, n)}")
        figures |= {key: round(hits / n, 4) if n else None, count: n}
    return figures
