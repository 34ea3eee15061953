"""How right the detectors and the judge are, on tables of ours and on real material. `make accuracy`.

Each topic is a module with `measure(eval_dir) -> dict` of figures, None where what it needs is not there. The last line
printed is all of them as one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path

TOPICS = (
    "keywords", "contacts", "codes", "ocr_pictures", "barrage", "nsfw", "faces", "ages", "objects", "scenes", "heads",
    "pictures", "gestures", "neutral", "labels",
)  # fmt: skip


def main(names: list[str]) -> None:
    """Measures the topics that are named, or all."""
    named = os.environ.get("EVAL_DIR")
    eval_dir = Path(named) if named else None
    figures: dict[str, object] = {}
    for name in names or TOPICS:
        print(f"## {name}", flush=True)
        figures |= import_module(f"tests.benchmarks.accuracy.{name}").measure(eval_dir)
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
