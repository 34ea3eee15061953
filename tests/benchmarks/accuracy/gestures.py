"""False alarms of `gesture` on ordinary pictures, and what a look costs.

No picture of EVAL_DIR is known to show a raised middle finger: what it finds of them is not measured. The other topics'
pictures (weapons, fires, things, text) are reported beside the benign ones. `min_hand_px` was chosen on the other half.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.hands.config import GestureConfig
from streammon.detect.registry import build_detectors
from streammon.entities import Frame, Image, Moment
from streammon.errors import ModelMissing
from tests.benchmarks.accuracy.halves import held_out, items, told
from tests.benchmarks.bench_detectors import parts

Figures = dict[str, float | int | None]

_OTHERS = ("incidents", "objects", "ocr", "qr")
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
_LONGEST_PX = 1280  # as `ingest.longest_side_px`
_REVIEW = 0.7
_LOOKS = 100


def measure(eval_dir: Path | None) -> Figures:
    """Of the held-out half. Nothing without `eval_dir` or the weights, which are pulled only by their names."""
    figures: Figures = {"gesture_n": 0, "gesture_false": None, "gesture_false_review": None}
    if eval_dir is None:
        return figures
    try:
        detector = _built(GestureConfig())
        every_hand = _built(GestureConfig(min_hand_px=16, min_score=0.0, max_hands=16))
    except ModelMissing as missing:
        print(f"gestures are not measured: {missing}")
        return figures
    benign = _pictures(eval_dir, ["benign"])
    others = {path: image for path, image in _pictures(eval_dir, _OTHERS).items() if path not in benign}
    figures |= _alarms(detector, every_hand, benign, "gesture")
    figures |= _alarms(detector, every_hand, others, "gesture_other")
    return figures | _cost(detector, list(benign.values()))


def _built(config: GestureConfig) -> Detector:
    (detector,) = build_detectors(["gesture"], parts(DetectConfig(provider="cpu", threads=1, gesture=config)))
    detector.warm_up()
    return detector


def _pictures(eval_dir: Path, topics: Sequence[str]) -> Mapping[Path, Image]:
    """The held-out ones, each once, as the monitor would be given them."""
    found = {}
    for topic in topics:
        for item in items(eval_dir / topic):
            path = (eval_dir / topic / item["file"]).resolve()
            if path.suffix.lower() in _PICTURES and held_out(path.name):
                picture = Pictures.open(path).convert("RGBA").convert("RGB")
                picture.thumbnail((_LONGEST_PX, _LONGEST_PX))
                found[path] = np.asarray(picture)
    return found


def _alarms(detector: Detector, every_hand: Detector, pictures: Mapping[Path, Image], prefix: str) -> Figures:
    frames = [_frame(image) for image in pictures.values()]
    found = [max((one.score for one in some), default=0.0) for some in detector.detect(frames)]
    hands = [len(some) for some in every_hand.detect(frames)]
    alarms = sum(score > 0 for score in found)
    reviews = sum(score >= _REVIEW for score in found)
    print(f"{prefix}: pictures with a hand {told(sum(n > 0 for n in hands), len(frames))}, {sum(hands)} hands")
    print(f"{prefix}: false at `min_score` {told(alarms, len(frames))}, at {_REVIEW} {told(reviews, len(frames))}")
    print(f"{prefix}: the greatest score is {max(found, default=0.0):.3f}")
    figures = {"n": len(frames), "hands": sum(hands), "false": alarms, "false_review": reviews}
    return {f"{prefix}_{name}": figure for name, figure in figures.items()}


def _cost(detector: Detector, images: Sequence[Image]) -> Figures:
    """Core-milliseconds of a look, on one thread of the CPU."""
    frames = [_frame(image) for image in images[:_LOOKS]]
    start_s = time.process_time()
    detector.detect(frames)
    return {"gesture_core_ms": round((time.process_time() - start_s) * 1000 / max(len(frames), 1), 2)}


def _frame(image: Image) -> Frame:
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=2.0,
    )  # fmt: skip
