"""What it costs to look a face up among 100,000 people, and pictures in a frame. Prints one JSON line.

`make bench-library`. NumPy's product, which shares itself out among threads, is beside ours; ADR 0016 has what
other libraries took.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streammon.detect.pictures.finder import PictureFinder
from streammon.detect.pictures.fingerprint import DEFAULTS, MODEL, blank, fingerprint
from streammon.library.list_file import read_list, write_list
from streammon.library.listing import EmbeddingModel, Entry, Kind, Listing, Thresholds
from streammon.library.matching import Matcher
from tests.unit.library_making import scene

_PEOPLE, _SIZE = 100_000, 128
_QUERIES = 100
_PICTURES = (100, 1_000)
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Measures, and prints."""
    rows = _faces()
    draw = np.random.default_rng(2)
    queries = rows[draw.integers(0, _PEOPLE, _QUERIES)] + 0.03 * draw.standard_normal((_QUERIES, _SIZE), np.float32)
    queries = np.asarray(queries / np.linalg.norm(queries, axis=1, keepdims=True), np.float32)
    figures = {**_ours(rows, queries), **_plain(rows, queries), **_pictures()}
    print(json.dumps({"people": _PEOPLE, **figures}))


def _faces() -> NDArray[np.float32]:
    """Vectors of length 1."""
    drawn = np.random.default_rng(1).standard_normal((_PEOPLE, _SIZE), np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _ours(rows: NDArray[np.float32], queries: NDArray[np.float32]) -> dict[str, float]:
    listing = Listing(
        name="many",
        kind=Kind.FACES,
        label="politics.person",
        thresholds=Thresholds(review=0.7, sure=0.78),
        model=EmbeddingModel(id="faces", sha256=""),
        entries=tuple(Entry(id=f"p{row}", name=f"P {row}", photos=1, added_at=_AT) for row in range(_PEOPLE)),
        arrays={"vectors": rows},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.npz"
        write_ms = _once_ms(lambda: write_list(path, listing))
        load_ms = _once_ms(lambda: read_list(path, Kind.FACES))
    build_ms = _once_ms(lambda: Matcher([listing]))
    matcher = Matcher([listing])
    once = {"write_core_ms": write_ms, "load_core_ms": load_ms, "build_core_ms": build_ms}
    return {**once, **_each("find", matcher.find, queries)}


def _plain(rows: NDArray[np.float32], queries: NDArray[np.float32]) -> dict[str, float]:
    turned = np.ascontiguousarray(rows.T)
    return _each("numpy_matmul", lambda query: (query @ turned).argmax(), queries)


def _pictures() -> dict[str, float]:
    """Core-ms per 720p frame in which nothing is known."""
    frames = [scene(1_000_000 + seed, 1280, 720) for seed in range(20)]
    figures = {}
    for count in _PICTURES:
        rows = [fingerprint(scene(seed)) for seed in range(count)]
        listing = Listing(
            name="pictures",
            kind=Kind.IMAGES,
            label="politics.flag",
            thresholds=DEFAULTS,
            model=MODEL,
            entries=tuple(Entry(id=f"p{row}", name="", photos=1, added_at=_AT) for row in range(count)),
            arrays={name: np.concatenate([one[name] for one in rows]) for name in blank()},
        )
        finder = PictureFinder([listing])
        finder.find(frames[0])
        start_s = time.process_time()
        for frame in frames:
            finder.find(frame)
        figures[f"pictures_{count}_core_ms"] = round((time.process_time() - start_s) * 1000 / len(frames), 1)
    return figures


def _once_ms(do: Callable[[], object]) -> float:
    start_s = time.process_time()
    do()
    return round((time.process_time() - start_s) * 1000, 1)


def _each(name: str, do: Callable[[NDArray[np.float32]], object], queries: NDArray[np.float32]) -> dict[str, float]:
    """Median and 95th percentile of the wall time, and the mean CPU time, of one query after the other."""
    do(queries[0])
    walls, start_s = [], time.process_time()
    for query in queries:
        at_s = time.perf_counter()
        do(query)
        walls.append((time.perf_counter() - at_s) * 1000)
    cpu_ms = (time.process_time() - start_s) * 1000 / len(queries)
    return {
        f"{name}_ms": round(float(np.median(walls)), 2),
        f"{name}_p95_ms": round(float(np.percentile(walls, 95)), 2),
        f"{name}_core_ms": round(cpu_ms, 2),
    }


if __name__ == "__main__":
    main()
