"""False alarms of `nsfw` and `nudity` on ordinary pictures, beside each of their nets alone, and what a frame costs.

All of EVAL_DIR/benign is harmless, with the portraits of its age and faces topics; so are the pictures of the others.
There is nothing explicit in it: how much pornography is found is not measured. Thresholds are the default policy's.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from streammon.detect.config import DetectConfig
from streammon.detect.nsfw.config import NsfwConfig
from streammon.detect.nsfw.nsfwjs import Nsfwjs
from streammon.detect.nsfw.nudity import NudityDetector
from streammon.detect.nsfw.open_nsfw import OpenNsfw
from streammon.detect.nsfw.verdict import Shares, verdict
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.entities import Frame, Image, Moment
from streammon.errors import ModelMissing
from streammon.events import Verdict
from streammon.judge.policy import Policy
from streammon.judge.policy_load import load_policy
from tests.benchmarks.accuracy.halves import held_out, items, told
from tests.benchmarks.bench_detectors import frames, parts

Figures = dict[str, float | int | None]

_POLICY = Path("configs/policies/live-default.yaml")
_FIRST = {"fast": "mobilenet", "quality": "inception"}
_OTHERS = ("ocr", "incidents", "objects", "qr")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_ALONE = 0.5
_MINORS = frozenset({"age_0-2", "age_3-9", "age_10-19"})
_PART_OF_CHILD = 0.6  # of the default policy's combination to pornography.child
_ROUNDS = 3
_CONFIG = DetectConfig.model_validate({"provider": "cpu", "nudity": {"accept_licence": "AGPL-3.0"}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the nets say of one picture: the first voice by its name here, the second, and naked parts by label."""

    tags: frozenset[str]
    first: Mapping[str, Shares]
    second: float
    parts: Mapping[str, float] | None


def measure(eval_dir: Path | None) -> Figures:
    """Of the held-out half. Without `eval_dir` the costs only."""
    figures: Figures = {"nsfw_neutral_n": 0, "nsfw_false_block": None, "nsfw_false_review": None}
    opened = parts(_CONFIG)
    if eval_dir is not None:
        policy = load_policy(_POLICY)
        neutral = list(_looks(opened, _held_out(eval_dir, ["benign"])))
        others = list(_looks(opened, _held_out(eval_dir, _OTHERS)))
        figures |= _alarms(neutral, policy) | _alone(neutral) | _portraits(neutral, policy) | _of_parts(neutral, policy)
        figures |= {"nsfw_other_n": len(others)}
        figures |= {f"nsfw_other_false_{kind}": n for kind, n in _counted(others, policy, _default).items()}
    opened.runtime.close()
    return figures | _costs()


def _held_out(eval_dir: Path, topics: Sequence[str]) -> dict[Path, frozenset[str]]:
    """Pictures with their tags, each once; of the other topics those that are not in `benign`."""
    benign = {(eval_dir / "benign" / item["file"]).resolve() for item in items(eval_dir / "benign")}
    found = {}
    for topic in topics:
        for item in items(eval_dir / topic):
            path = (eval_dir / topic / item["file"]).resolve()
            if held_out(path.name) and path.suffix.lower() in _PICTURES and (topic == "benign" or path not in benign):
                found[path] = frozenset(item.get("tags", ()))
    return found


def _looks(opened: Parts, pictures: Mapping[Path, frozenset[str]]) -> Iterator[Look]:
    first = {name: Nsfwjs(opened.open(NsfwConfig(model=name).models[0])) for name in ("fast", "quality")}
    second = OpenNsfw(opened.open("open-nsfw"))
    nudity = _nudity(opened)
    for path, tags in pictures.items():
        image = np.ascontiguousarray(Pillow.open(path).convert("RGBA").convert("RGB"))
        yield Look(
            tags=tags,
            first={name: voice.shares([image])[0] for name, voice in first.items()},
            second=second.chances([image])[0],
            parts=None if nudity is None else _parts(nudity, image),
        )


def _nudity(opened: Parts) -> NudityDetector | None:
    """None where its weights were not pulled, since nobody has to accept their licence."""
    try:
        session = opened.open("nudenet-320n")
    except ModelMissing as error:
        print(f"nudity is not measured: {error}")
        return None
    return NudityDetector(session, opened.label_maps["nudenet-320n"], opened.config.nudity)


def _parts(nudity: NudityDetector, image: Image) -> dict[str, float]:
    moment = Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC))
    frame = Frame(
        room_id="r", moment=moment, seq=1, key_frame=True, width=image.shape[1], height=image.shape[0], image=image,
        received_s=0.0, deadline_s=1.0,
    )  # fmt: skip
    return {str(one.label): one.score for one in reversed(nudity.detect([frame])[0])}


def _said(model: str, with_second: bool, look: Look) -> Mapping[str, float]:
    return verdict(look.first[model], look.second if with_second else None)


def _default(look: Look) -> Mapping[str, float]:
    return _said(NsfwConfig().model, True, look)


def _counted(looks: Sequence[Look], policy: Policy, scores: Callable[[Look], Mapping[str, float]]) -> Counter[str]:
    """How many pictures are blocked, and how many sent to review and not blocked, whatever the label."""
    counts = Counter({"block": 0, "review": 0})
    for look in looks:
        verdicts = {policy.rules[label].verdict(score) for label, score in scores(look).items()}
        worst = next((one for one in (Verdict.BLOCK, Verdict.REVIEW) if one in verdicts), None)
        counts += Counter([worst.value] if worst is not None else [])
    return Counter({"block": counts["block"], "review": counts["review"]})


def _alarms(looks: Sequence[Look], policy: Policy) -> Figures:
    figures: Figures = {"nsfw_neutral_n": len(looks)}
    for model in _FIRST:
        for with_second in (True, False):
            counts = _counted(looks, policy, partial(_said, model, with_second))
            name = f"{model}_{'with_open_nsfw' if with_second else 'alone'}"
            print(f"{name}: block {told(counts['block'], len(looks))}, review {told(counts['review'], len(looks))}")
            figures |= {f"nsfw_{name}_false_{kind}": n for kind, n in counts.items()}
    labels: Counter[str] = Counter()
    for look in looks:
        for label, score in _default(look).items():
            labels[f"{label} {policy.rules[label].verdict(score)}"] += 1
    print("as configured by default:", {told: n for told, n in labels.items() if not told.endswith("pass")})
    chosen = _counted(looks, policy, _default)
    return figures | {"nsfw_false_block": chosen["block"], "nsfw_false_review": chosen["review"]}


def _alone(looks: Sequence[Look]) -> Figures:
    """Each net by itself at 0.5, as it is used elsewhere: nsfwjs by Porn + Hentai."""
    figures: Figures = {
        f"nsfw_{name}_alone_false": sum(look.first[m].porn + look.first[m].hentai >= _ALONE for look in looks)
        for m, name in _FIRST.items()
    }
    figures["nsfw_open_nsfw_alone_false"] = sum(look.second >= _ALONE for look in looks)
    return figures


def _portraits(looks: Sequence[Look], policy: Policy) -> Figures:
    """By tag: portraits are the commonest picture of a live room, those of minors the gravest to be wrong about."""
    figures: Figures = {}
    for tag in ("portrait", "people", "scene"):
        tagged = [look for look in looks if tag in look.tags]
        counts = _counted(tagged, policy, _default)
        alone = _alone(tagged)
        print(f"{tag}: block or review {told(counts.total(), len(tagged))}; alone at {_ALONE}: {alone}")
        figures |= {f"nsfw_{tag}_n": len(tagged), f"nsfw_{tag}_false": counts.total()}
    young = [look for look in looks if look.tags & _MINORS]
    sexual = sum(max(_default(look).values()) >= _PART_OF_CHILD for look in young)
    print(f"portraits of people below 20 with a score of {_PART_OF_CHILD}: {told(sexual, len(young))}")
    return figures | {"nsfw_young_n": len(young), "nsfw_young_sexual": sexual}


def _of_parts(looks: Sequence[Look], policy: Policy) -> Figures:
    seen = [look for look in looks if look.parts is not None]
    if not seen:
        return {"nudity_neutral_n": 0, "nudity_false_block": None, "nudity_false_review": None}
    counts = _counted(seen, policy, lambda look: look.parts or {})
    surest: dict[str, float] = {}
    for look in seen:
        for label, score in (look.parts or {}).items():
            surest[label] = max(score, surest.get(label, 0.0))
    print(f"nudity: block {told(counts['block'], len(seen))}, review {told(counts['review'], len(seen))}")
    print("nudity, the highest score of each label:", {label: round(score, 3) for label, score in surest.items()})
    return {"nudity_neutral_n": len(seen), **{f"nudity_false_{kind}": n for kind, n in counts.items()}}


def _costs() -> Figures:
    """Core-milliseconds per 720p frame of the sample clip on ONNX Runtime's CPU provider; None without weights."""
    shown = frames()
    figures: Figures = {}
    for key, name, raw in (
        ("nsfw_core_ms_fast", "nsfw", {"nsfw": {"model": "fast"}}),
        ("nsfw_core_ms_quality", "nsfw", {"nsfw": {"model": "quality"}}),
        ("nsfw_core_ms_fast_alone", "nsfw", {"nsfw": {"model": "fast", "second": "off"}}),
        ("nsfw_core_ms_quality_alone", "nsfw", {"nsfw": {"model": "quality", "second": "off"}}),
        ("nudity_core_ms", "nudity", {"nudity": {"accept_licence": "AGPL-3.0"}}),
    ):
        config = DetectConfig.model_validate({"provider": "cpu", **raw})
        try:
            figures[key] = _cost(name, config, shown)
        except ModelMissing as error:
            print(f"{key} is not measured: {error}")
            figures[key] = None
    return figures


def _cost(name: str, config: DetectConfig, shown: Sequence[Frame]) -> float:
    """The least of several rounds."""
    (detector,) = build_detectors([name], parts(config))
    detector.warm_up()
    took_s = []
    for _ in range(_ROUNDS):
        start_s = time.process_time()
        for frame in shown:
            detector.detect([frame])
        took_s.append(time.process_time() - start_s)
    detector.close()
    return round(1000 * min(took_s) / len(shown), 1)
