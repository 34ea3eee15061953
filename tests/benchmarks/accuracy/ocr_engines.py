"""Both engines of the reader of text on the pictures of `EVAL_DIR/ocr`: what they find, and what a picture costs.

`make paddleocr`, then `python -m tests.benchmarks.accuracy.ocr_engines`. One thread each. Of the core-ms,
which are of all processes, what a start takes is taken off.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from streammon.detect.config import DetectConfig
from streammon.detect.registry import build_detectors
from tests.benchmarks.accuracy.ocr_pictures import measure
from tests.benchmarks.bench_detectors import parts

PYTHON = Path(__file__).resolve().parents[3] / ".cache" / "paddleocr" / "bin" / "python"
_ENGINES = {
    "rapidocr": {},
    "paddleocr": {"engine": "paddleocr", "paddleocr": {"python": str(PYTHON), "timeout": 120.0}},
}


def main() -> int:
    """Prints a line of JSON for each engine."""
    eval_dir = Path(os.environ["EVAL_DIR"])
    pictures = len(json.loads((eval_dir / "ocr" / "manifest.json").read_text(encoding="utf-8"))["items"])
    for name, section in _ENGINES.items():
        config = DetectConfig.model_validate({"provider": "cpu", "ocr": section})
        before_s = _cpu_s()
        (started,) = build_detectors(["ocr"], parts(config))
        started.warm_up()
        started.close()
        start_s, began_s = _cpu_s() - before_s, time.monotonic()
        figures = measure(eval_dir, config)
        took_s, cpu_s = time.monotonic() - began_s, _cpu_s() - before_s - 2 * start_s
        told = {"engine": name, "start_core_s": round(start_s, 1), "pictures": pictures}
        told |= {"wall_s": round(took_s, 1), "core_ms_per_picture": round(cpu_s * 1000 / pictures)}
        print(json.dumps(told | figures))
    return 0


def _cpu_s() -> float:
    """Seconds of CPU of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    sys.exit(main())
