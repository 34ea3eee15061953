"""What a detector says of a picture, and its false alarms on the ordinary ones of `EVAL_DIR/benign`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.runtime import Runtime
from streammon.detect.runtime.session import Session, open_session
from streammon.entities import Frame, Image, Moment
from streammon.judge.policy_load import load_policy
from streammon.library.read_picture import read_picture
from streammon.models.catalog import load_catalog
from tests.benchmarks.accuracy.halves import held_out, items, told

ROOT = Path(__file__).parents[3]
WEIGHTS = ROOT / "models"
REVIEW = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One ordinary picture: the surest score by label, and core-seconds that the look took."""

    file: str
    scores: Mapping[str, float]
    core_s: float


@cache
def opened(model: str) -> Session:
    return open_session(WEIGHTS / f"{model}.onnx", "cpu", threads=2)


@cache
def detector(name: str) -> Detector:
    """As it is by default."""
    config = DetectConfig.model_validate({"provider": "cpu"})
    label_maps = {model.name: model.label_map for model in load_catalog().models.values()}
    parts = Parts(
        weights=lambda model: WEIGHTS / f"{model}.onnx", label_maps=label_maps, config=config, runtime=Runtime(config)
    )
    (built,) = build_detectors([name], parts)
    built.warm_up()
    return built


def look(name: str, image: Image) -> dict[str, float]:
    """The surest score by label."""
    height, width = image.shape[:2]
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    shown = Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=width, height=height, image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip
    scores: dict[str, float] = {}
    for one in detector(name).detect([shown])[0]:
        if one.label is not None:
            scores[one.label] = max(scores.get(one.label, 0.0), one.score)
    return scores


def alarms(eval_dir: Path, name: str) -> list[Looked]:
    """The detector's look at every ordinary picture."""
    looked = []
    for item in items(eval_dir / "benign"):
        image = read_picture(eval_dir / "benign" / item["file"])
        start_s = time.process_time()
        scores = look(name, image)
        looked.append(Looked(file=item["file"], scores=scores, core_s=time.process_time() - start_s))
    return looked


def report(looked: Sequence[Looked], name: str) -> dict[str, Any]:
    """Prints and returns: false reviews by label at 0.7, those that the default policy would make, and the cost."""
    rules = load_policy(ROOT / "configs" / "policies" / "live-default.yaml").rules
    figures: dict[str, Any] = {}
    for half, chosen in (("held out", True), ("tuned on", False)):
        part = [one for one in looked if held_out(one.file) == chosen]
        wrong = Counter(label for one in part for label, score in one.scores.items() if score >= REVIEW)
        reviewed = sum(any(_reviews(rules, *scored) for scored in one.scores.items()) for one in part)
        for label, count in sorted(wrong.items()):
            print(f"{half}: {label} at 0.7 in {told(count, len(part))} ordinary pictures")
        print(f"{half}: live-default sends {told(reviewed, len(part))} ordinary pictures to review")
        if chosen:
            figures = {
                f"{name}_false_by_label": dict(sorted(wrong.items())),
                f"{name}_false_review": reviewed,
                f"{name}_neutral_n": len(part),
            }
    core_ms = 1000 * sum(one.core_s for one in looked) / len(looked)
    print(f"{core_ms:.1f} core-ms a picture, ONNX Runtime's CPU provider")
    return figures | {f"{name}_core_ms": round(core_ms, 1)}


def _reviews(rules: Mapping[str, Any], label: str, score: float) -> bool:
    rule = rules.get(label)
    return rule is not None and any(limit is not None and score >= limit for limit in (rule.review, rule.block))
