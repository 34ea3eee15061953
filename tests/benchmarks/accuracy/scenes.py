"""What the classifier of scenes sees in pictures with handguns, and in ordinary ones, of `EVAL_DIR`."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from streammon.library.read_picture import read_picture
from tests.benchmarks.accuracy.halves import held_out, items, told
from tests.benchmarks.accuracy.ordinary import REVIEW, WEIGHTS, alarms, look, report

_LABEL = "violence.weapon.gun"


def measure(eval_dir: Path | None) -> dict[str, Any]:
    """What is held out: sequences in which a handgun is seen at least once, pictures of each view, false reviews."""
    nothing = {"incident_recall_handgun": None, "incident_handgun_n": 0}
    if eval_dir is None or not (WEIGHTS / "efficientnet-lite0.onnx").exists():
        return nothing
    figures: dict[str, Any] = {}
    for half, chosen in (("held out", True), ("tuned on", False)):
        sequences, views = _handguns(eval_dir, held=chosen)
        for view, seen in sorted(views.items()):
            print(f"{half}: {view}: a gun in {told(sum(seen), len(seen))} pictures with one")
        found = sum(any(seen) for seen in sequences.values())
        print(f"{half}: a gun is seen in {told(found, len(sequences))} sequences with one")
        if chosen:
            recall = round(found / len(sequences), 4) if sequences else None
            figures = {"incident_recall_handgun": recall, "incident_handgun_n": len(sequences)}
    return figures | report(alarms(eval_dir, "scenes"), "scenes")


def _handguns(eval_dir: Path, *, held: bool) -> tuple[dict[object, list[bool]], dict[str, list[bool]]]:
    """Whether a gun is seen, picture by picture, of each sequence and of each view. Of one half's pictures only."""
    sequences: dict[object, list[bool]] = defaultdict(list)
    views: dict[str, list[bool]] = defaultdict(list)
    for item in items(eval_dir / "incidents"):
        if item["task"] == "handgun" and item["label"] and held_out(item["file"]) == held:
            image = read_picture(eval_dir / "incidents" / item["file"])
            seen = look("scenes", image).get(_LABEL, 0.0) >= REVIEW
            sequences[item["sequence"]].append(seen)
            views[item["view"]].append(seen)
    return sequences, views
