"""What one frame costs each detector on the sample clip's frames: by provider, batch, and how runs share the cores.

`make bench-detectors`.
"""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np

from streammon.detect.config import DetectConfig, Provider
from streammon.detect.detector import Detector
from streammon.detect.packs import load_packs
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.runtime.cores import usable_cores
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Frame, Moment
from streammon.errors import ProviderUnavailable
from streammon.models.catalog import load_catalog
from streammon.models.store import ModelStore

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "sample_streams" / "room.mp4"
PROVIDERS: tuple[Provider, ...] = ("cpu", "openvino", "cuda")
BATCHES = (1, 2, 4)
ROUNDS = 2
_ROOMS = itertools.count()


def frames() -> list[Frame]:
    """The clip's key frames: 24 pictures, some with text or a code, most without."""
    return list(_key_frames())


def _key_frames() -> Iterator[Frame]:
    with av.open(str(CLIP)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONKEY"
        for seq, picture in enumerate(container.decode(video=0), start=1):
            image = picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
            image.flags.writeable = False
            now_s = time.monotonic()
            moment = Moment(session=1, pts_s=picture.time or 0.0, received_at=datetime.now(UTC))
            yield Frame(
                room_id="bench",
                moment=moment,
                seq=seq,
                key_frame=True,
                width=picture.width,
                height=picture.height,
                image=image,
                received_s=now_s,
                deadline_s=now_s,
            )


def arrangements(provider: str, cores: int) -> list[tuple[int | None, int]]:
    """Threads per run and runs at once; other providers share their threads out themselves."""
    return list(dict.fromkeys([(1, 1), (cores, 1), (1, cores)])) if provider == "cpu" else [(None, 1)]


def cost(detector: Detector, shown: list[Frame], *, batch: int, at_once: int) -> tuple[float, float]:
    """Wall and CPU milliseconds per frame, where as many rooms as run at once show the clip from its start.

    The rooms are new ones: what a detector remembers of a room from picture to picture is a part of what it costs.
    """
    rooms = [f"room-{next(_ROOMS)}" for _ in range(batch * at_once)]
    frames_of_all = [replace(frame, room_id=room) for frame in shown for room in rooms]
    batches = [frames_of_all[start : start + batch] for start in range(0, len(frames_of_all), batch)]
    with ThreadPoolExecutor(at_once) as threads:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in threads.map(detector.detect, batches):
            pass
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return 1000 * wall_s / len(frames_of_all), 1000 * cpu_s / len(frames_of_all)


def measure(name: str, provider: Provider, shown: list[Frame], figures: dict[str, float | None]) -> None:
    """Prints a row per arrangement and batch, the best of several rounds that take turns; adds to `figures`."""
    opened: list[tuple[str, Detector, int]] = []
    for threads, at_once in arrangements(provider, usable_cores()):
        try:
            (detector,) = build_detectors([name], parts(DetectConfig(provider=provider, threads=threads)))
        except ProviderUnavailable as error:
            print(f"{name:<5} {provider:<9} not run: {error}")
            figures[f"{name}_{provider}_wall_ms"] = None
            return
        detector.warm_up()
        arranged = f"_{threads}x{at_once}" if threads is not None else ""
        opened.append((f"{name}_{provider}{arranged}", detector, at_once))
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for batch in BATCHES:
            for key, detector, at_once in opened:
                took = cost(detector, shown, batch=batch, at_once=at_once)
                best[f"{key}_b{batch}"] = min(took, best.get(f"{key}_b{batch}", took))
    for _, detector, _ in opened:
        detector.close()
    for key, (wall_ms, cpu_ms) in best.items():
        print(f"{key:<24} {wall_ms:7.1f} ms wall {cpu_ms:7.1f} ms CPU per 720p frame")
        figures |= {f"{key}_wall_ms": round(wall_ms, 1), f"{key}_cpu_ms": round(cpu_ms, 1)}


def everyday(shown: list[Frame], figures: dict[str, float | None]) -> None:
    """The default pack's detectors and `objects`, as they are configured by default, one room: costs, and memory."""
    detectors = build_detectors((*load_packs()["default"].detectors, "objects"), parts(DetectConfig()))
    for detector in detectors:
        detector.warm_up()
        wall_ms, cpu_ms = cost(detector, shown, batch=1, at_once=1)
        print(f"{detector.name:<24} {wall_ms:7.1f} ms wall {cpu_ms:7.1f} ms CPU per 720p frame")
        figures |= {f"{detector.name}_wall_ms": round(wall_ms, 1), f"{detector.name}_cpu_ms": round(cpu_ms, 1)}
    figures["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    for detector in detectors:
        detector.close()


def parts(config: DetectConfig) -> Parts:
    """The project's own weights, under this configuration."""
    catalog = load_catalog()
    label_maps = {name: model.label_map for name, model in catalog.models.items()}
    store = ModelStore(ROOT / "models", catalog)
    classes = {name: model.raw_labels for name, model in catalog.models.items()}
    runtime = Runtime(config)
    return Parts(weights=store.path, label_maps=label_maps, classes=classes, config=config, runtime=runtime)


def main() -> int:
    """Prints a table and, as its last line, the figures as JSON; a provider that is not there is null."""
    shown = frames()
    figures: dict[str, float | None] = {"cores": usable_cores()}
    everyday(shown, figures)
    for name in ("nsfw", "ocr"):
        for provider in PROVIDERS:
            measure(name, provider, shown, figures)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
