"""Microseconds of looking at one sample for black, frozen and other dead pictures, beside converting it to RGB.

`python -m tests.benchmarks.bench_picture`. One thread; the pictures are key frames of the sample clip, scaled to each
size. A look takes turns between two pictures, as a live room's does, and is timed after the conversion that it follows.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from pathlib import Path

import av
import numpy as np

from streammon.ingest.sampling.picture import PictureWatch

CLIP = Path(__file__).resolve().parents[2] / "sample_streams" / "room.mp4"
SIZES = ((1280, 720), (720, 1280), (854, 480), (640, 360))
ROUNDS = 300


def decoded(width: int, height: int) -> list[av.VideoFrame]:
    """Two pictures that differ, as a decoder hands them on."""
    with av.open(str(CLIP)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONKEY"
        return [
            picture.reformat(width=width, height=height, format="yuv420p")
            for picture in islice(container.decode(video=0), 0, 12, 6)
        ]


def medians_us(width: int, height: int) -> tuple[float, float]:
    """Of the conversion and of the look, in µs of CPU time."""
    pictures, watch = decoded(width, height), PictureWatch(10.0)
    conversions, looks = [], []
    for number in range(ROUNDS):
        began = time.process_time()
        rgb = pictures[number % 2].reformat(format="rgb24", interpolation="AREA")
        image = np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)
        converted = time.process_time()
        watch.look(image, number * 2.0, (width, height))
        conversions.append(converted - began)
        looks.append(time.process_time() - converted)
    return float(np.median(conversions)) * 1e6, float(np.median(looks)) * 1e6


def main() -> int:
    """Prints a table and, as its last line, the figures as JSON."""
    figures: dict[str, float] = {}
    print(f"{'picture':>10} {'to RGB':>8} {'look':>8}   µs of CPU a sample")
    for width, height in SIZES:
        conversion, look = medians_us(width, height)
        name = f"{width}x{height}"
        print(f"{name:>10} {conversion:>8.0f} {look:>8.0f}")
        figures |= {f"look_us_{name}": round(look), f"ratio_to_rgb_{name}": round(look / conversion, 2)}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
