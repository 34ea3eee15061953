"""How well NanoDet finds things, on COCO pictures and ordinary ones of `EVAL_DIR`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streammon.detect.objects.detector import PLAN
from streammon.detect.objects.reading import Reading
from streammon.entities import Image
from streammon.library.read_picture import read_picture
from tests.benchmarks.accuracy.halves import held_out, items, told
from tests.benchmarks.accuracy.ordinary import REVIEW, WEIGHTS, alarms, look, opened, report

_MODEL = "nanodet-coco"


def measure(eval_dir: Path | None) -> dict[str, Any]:
    """What is held out: mean average precision at IoU 0.5 over COCO's classes, knives found, false reviews by label."""
    nothing = {"object_map50": None, "objects_n": 0, "knife_recall": None, "knife_n": 0}
    if eval_dir is None or not (WEIGHTS / f"{_MODEL}.onnx").exists():
        return nothing
    folder = eval_dir / "objects"
    listed = items(folder)
    told_of = {item["file"]: _all_classes(read_picture(folder / item["file"])) for item in listed}
    figures: dict[str, Any] = {}
    for half, chosen in (("held out", True), ("tuned on", False)):
        part = [item for item in listed if held_out(item["file"]) == chosen]
        print(f"{half}:")
        precision = _map50(eval_dir, part, told_of)
        if chosen:
            figures |= {"object_map50": precision, "objects_n": len(part)}
    return figures | _of_detector(eval_dir, listed) | report(alarms(eval_dir, "objects"), "objects")


def _of_detector(eval_dir: Path, listed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Pictures with a knife in which the detector sees one for review."""
    knives = [item for item in listed if any(thing["class"] == "knife" for thing in item["objects"])]
    figures: dict[str, Any] = {}
    for half, chosen in (("held out", True), ("tuned on", False)):
        shown = [eval_dir / "objects" / item["file"] for item in knives if held_out(item["file"]) == chosen]
        seen = [look("objects", read_picture(file)).get("violence.weapon.knife", 0.0) >= REVIEW for file in shown]
        print(f"{half}: a knife is found in {told(sum(seen), len(seen))} pictures with one")
        if chosen:
            figures = {"knife_recall": round(sum(seen) / len(seen), 4) if seen else None, "knife_n": len(seen)}
    return figures


def _all_classes(image: Image) -> list[dict[str, Any]]:
    """Everything that the model tells, of each of COCO's classes, as the scorer wants it; its own scores."""
    session = opened(_MODEL)
    names = session.metadata["labels"].split(",")
    reading = Reading(
        columns=np.arange(len(names)), thresholds=np.full(len(names), 0.7, np.float32), min_score=0.05, most=300
    )
    picture, at = PLAN.place(image)
    (found,) = reading.read(*session.run({session.input_name: PLAN.tensor([picture])}))
    boxes = [at.box(corners) for corners in found.corners]
    return [
        {"class": names[number], "score": score, "xywhn": [box.x + box.w / 2, box.y + box.h / 2, box.w, box.h]}
        for number, score, box in zip(found.classes.tolist(), found.scores.tolist(), boxes, strict=True)
        if box is not None
    ]


def _map50(eval_dir: Path, part: list[dict[str, Any]], told_of: Mapping[str, Any]) -> float:
    """By the scorer that comes with the material, on these items only."""
    sys.path.insert(0, str(eval_dir / "score"))
    scorer = importlib.import_module("score_objects")
    scorer.items = lambda _topic, _split: part  # type: ignore[attr-defined]
    by_class: dict[str, float] = scorer.score({file: {"objects": things} for file, things in told_of.items()})
    return round(sum(by_class.values()) / len(by_class), 4)
