"""Real pictures with text, `EVAL_DIR/ocr`: danmaku frames, television, street scenes. Nothing was tuned on them.

A line counts as found where it stands in a line that was read, after NFKC, in lower case, without punctuation and white
space, as the material's own scoring does it.
"""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from streammon.detect.config import DetectConfig
from streammon.detect.registry import build_detectors
from streammon.entities import Frame, Moment
from tests.benchmarks.bench_detectors import parts

_DANMAKU = ("danmaku_zh", "danmaku_zh_dense")
_KINDS = ("danmaku_en", "tv_frame_zh_small", "scene_en", "ocr_unit")


def measure(eval_dir: Path | None, config: DetectConfig | None = None) -> dict[str, float | int | None]:
    """Lines that must be found, and those that are, by kind; keywords that must not be found, and those that are.

    By the reader as it is configured by default, or by `config`.
    """
    figures: dict[str, float | int | None] = {"danmaku_found": None, "danmaku_n": 0}
    if eval_dir is None:
        return figures
    items = json.loads((eval_dir / "ocr" / "manifest.json").read_text(encoding="utf-8"))["items"]
    found, wanted, false, absent = defaultdict[str, int](int), defaultdict[str, int](int), 0, 0
    for item, read in zip(items, _read(eval_dir / "ocr", items, config or DetectConfig()), strict=True):
        lines = [_normal(text) for text in item["truth"]["lines"]]
        wanted[item["kind"]] += len(lines)
        found[item["kind"]] += sum(any(line in one for one in read) for line in lines)
        forbidden = [_normal(text) for text in item["truth"].get("absent", ())]
        absent += len(forbidden)
        false += sum(any(word in one for one in read) for word in forbidden)
    figures |= {"danmaku_found": sum(found[kind] for kind in _DANMAKU), "danmaku_n": sum(wanted[k] for k in _DANMAKU)}
    for kind in _KINDS:
        figures |= {f"ocr_{kind}_found": found[kind], f"ocr_{kind}_n": wanted[kind]}
    return figures | {"ocr_keywords_false": false, "ocr_keywords_absent": absent}


def _read(folder: Path, items: list[dict[str, Any]], config: DetectConfig) -> list[list[str]]:
    """The lines read in each picture, as they are compared; each picture is of a room of its own."""
    (detector,) = build_detectors(["ocr"], parts(config))
    detector.warm_up()
    read = []
    for item in items:
        image = np.ascontiguousarray(Pillow.open(folder / item["file"]).convert("RGB"))
        image.flags.writeable = False
        frame = Frame(
            room_id=item["file"], moment=Moment(session=1, pts_s=0.0, received_at=datetime(2026, 1, 1, tzinfo=UTC)),
            seq=1, key_frame=True, width=image.shape[1], height=image.shape[0], image=image, received_s=0.0,
            deadline_s=1.0,
        )  # fmt: skip
        read.append([_normal(detection.text or "") for detection in detector.detect([frame])[0]])
    detector.close()
    return read


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(c for c in folded if c.isalnum())
