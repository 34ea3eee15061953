"""Encodes the rooms' programmes: `python -m tests.benchmarks.engine.material [FOLDER]`. Kept, so made only once.

1280 x 720 at 30 fps, H.264 with B-frames at about 2 Mbit/s, a key frame every 2 s, FLV.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av

from streammon.detect.runtime.cores import usable_cores
from streammon.entities import Image
from tests.benchmarks.engine.moving import HEIGHT, WIDTH, MovingPicture
from tests.benchmarks.engine.photographs import fetch
from tests.benchmarks.engine.still import StillPicture

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "bench-engine"
CLIPS = 3
"""Programmes of each mix; rooms of one programme are at different places in it."""
RATE, GOP, SECONDS = 30, 60, 60
_OPTIONS = {
    "preset": "veryfast", "b": "2M", "maxrate": "2500k", "bufsize": "4M", "bf": "2", "sc_threshold": "0",
    "g": str(GOP), "keyint_min": str(GOP), "threads": "1",
}  # fmt: skip


class Programme(Protocol):
    """What is drawn."""

    def at(self, t_s: float) -> Image:
        """The frame at `t_s` seconds, HEIGHT x WIDTH x 3, RGB."""


MIXES: Mapping[str, Callable[[Path, int], Programme]] = {"moving": MovingPicture, "still": StillPicture}


def clips(mix: str, folder: Path = CACHE) -> list[Path]:
    """The mix's programmes. Makes those that are not there, which takes a minute or two each."""
    photographs = folder / "photographs"
    fetch(photographs)
    places = [folder / "clips" / f"{mix}-{number}.flv" for number in range(CLIPS)]
    missing = [(mix, photographs, number, place) for number, place in enumerate(places) if not place.exists()]
    with ProcessPoolExecutor(usable_cores()) as pool:
        for made in [pool.submit(_encode, *what) for what in missing]:
            made.result()
    return places


def _encode(mix: str, photographs: Path, number: int, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_suffix(".part")
    programme = MIXES[mix](photographs, number)
    with av.open(str(unfinished), "w", format="flv") as out:
        stream = out.add_stream("libx264", rate=RATE, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame_number in range(SECONDS * RATE):
            frame = av.VideoFrame.from_ndarray(programme.at(frame_number / RATE), format="rgb24")
            frame.pts, frame.time_base = frame_number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    unfinished.rename(place)


def main() -> int:
    """Makes all that is missing and names it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CACHE
    for mix in MIXES:
        for place in clips(mix, folder):
            print(f"{place.stem}: {place.stat().st_size * 8 / SECONDS / 1e6:.1f} Mbit/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
