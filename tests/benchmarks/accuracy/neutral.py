"""Ordinary pictures, `EVAL_DIR/benign`, under the shipped policy and with the detectors of the default pack.

A picture stands for a room that shows nothing else: what would alarm if every sample looked like it. An alarm is false,
but for minors in portraits of people under 20, for things that are in the picture by `EVAL_DIR/objects`, and for minors
in six pictures in which a child or a girl is to be seen: all seven others that alarmed were looked at, and the seventh,
a couple of some eighteen years, counts as false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streammon.config import shipped
from streammon.detect.detector import Detector
from streammon.detect.packs import load_packs
from streammon.detect.registry import build_detectors
from streammon.entities import Detection, Frame
from streammon.events import Verdict
from streammon.fleet.config import Settings
from streammon.judge.combine import Picture
from streammon.judge.interpret import interpret
from streammon.judge.policy import Policy, above
from streammon.judge.policy_load import load_policy
from tests.benchmarks.accuracy.halves import held_out, items, told
from tests.benchmarks.accuracy.pictures_shown import shown
from tests.benchmarks.bench_detectors import parts

Figures = dict[str, float | int | None]

_MINORS = frozenset({"age_0-2", "age_3-9", "age_10-19"})
_WITH_CHILDREN = frozenset(
    {
        "fairface_0135.jpg", "fairface_0386.jpg", "fairface_0419.jpg", "train2017_000000000370.jpg",
        "val2017_000000006954.jpg", "val2017_000000009448.jpg",
    }
)  # fmt: skip
_THINGS = {
    "knife": "violence.weapon.knife",
    "wine glass": "values.drinking",
    "bottle": "values.drinking",
}


def measure(eval_dir: Path | None) -> Figures:
    """False blocks (how many) and false reviews (their share, blocks not counted) in the half that is held out."""
    if eval_dir is None:
        return {"neutral_n": 0, "false_block": None, "false_review": None}
    settings, policy = Settings(), load_policy(shipped("policies/live-default.yaml"))
    detectors = build_detectors(load_packs()["default"].detectors, parts(settings.detect))
    for detector in detectors:
        detector.warm_up()
    true = _true_labels(eval_dir)
    figures: Figures = {}
    for half, name in ((False, "_develop"), (True, "")):
        alarms = [
            (item, _alarms(shown(eval_dir / "benign" / item["file"]), detectors, policy, true))
            for item in items(eval_dir / "benign")
            if held_out(item["file"]) is half
        ]
        figures |= _counted(alarms, name)
    return figures


def _true_labels(eval_dir: Path) -> Mapping[str, frozenset[str]]:
    """By picture, the labels that it may raise."""
    true = {
        Path(item["file"]).name: frozenset(
            _THINGS[thing["class"]] for thing in item["objects"] if thing["class"] in _THINGS
        )
        for item in items(eval_dir / "objects")
    }
    for item in items(eval_dir / "benign"):
        name = Path(item["file"]).name
        if _MINORS & set(item["tags"]) or name in _WITH_CHILDREN:
            true[name] = frozenset({"minors.infant", "minors.child", "minors.teenager"})
    return true


def _alarms(
    frame: Frame, detectors: Sequence[Detector], policy: Policy, true: Mapping[str, frozenset[str]]
) -> dict[str, Verdict]:
    """By label, the verdict that a picture would get if a room showed nothing else."""
    picture, verdicts = Picture(), dict[str, Verdict]()
    for detector in detectors:
        seen: Sequence[Detection] = interpret(detector.detect([frame])[0], policy)
        for reading in picture.readings(frame.moment, seen, policy.combinations):
            rule = policy.rules.get(reading.label)
            verdict = rule.verdict(reading.score) if rule is not None else Verdict.PASS
            if above(verdict, verdicts.get(reading.label, Verdict.PASS)):
                verdicts[reading.label] = verdict
    return {label: verdict for label, verdict in verdicts.items() if label not in true.get(frame.room_id, ())}


def _counted(alarms: Sequence[tuple[dict[str, Any], dict[str, Verdict]]], suffix: str) -> Figures:
    n = len(alarms)
    blocks = sum(Verdict.BLOCK in verdicts.values() for _, verdicts in alarms)
    reviews = sum(bool(verdicts) and Verdict.BLOCK not in verdicts.values() for _, verdicts in alarms)
    print(f"{'develop' if suffix else 'held out'}: block {told(blocks, n)}; review {told(reviews, n)}")
    by_label = Counter(f"{label} {verdict.value}" for _, verdicts in alarms for label, verdict in verdicts.items())
    for label, count in by_label.most_common():
        print(f"  {label}: {count}")
    return {f"neutral_n{suffix}": n, f"false_block{suffix}": blocks, f"false_review{suffix}": round(reviews / n, 4)}
