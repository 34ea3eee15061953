"""What one frame costs each detector, by provider, on the sample clip's frames. `make bench-detectors`."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import av
import numpy as np

from streammon.detect.config import DetectConfig
from streammon.detect.detector import Detector
from streammon.detect.registry import Parts, build_detectors, detector_names
from streammon.entities import Frame, Moment
from streammon.errors import ProviderUnavailable
from streammon.models.catalog import load_catalog
from streammon.models.store import ModelStore

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "sample_streams" / "room.mp4"
PROVIDERS: tuple[Literal["cpu", "openvino", "cuda"], ...] = ("cpu", "openvino", "cuda")
ROUNDS = 3


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


def cost(detector: Detector, shown: list[Frame]) -> tuple[float, float]:
    """Wall and CPU milliseconds per frame, the best of several rounds."""
    detector.warm_up()
    rounds = []
    for _ in range(ROUNDS):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for frame in shown:
            detector.detect([frame])
        rounds.append((time.perf_counter() - wall_s, time.process_time() - cpu_s))
    wall_s, cpu_s = min(rounds)
    return 1000 * wall_s / len(shown), 1000 * cpu_s / len(shown)


def main() -> int:
    """Prints a table and, as its last line, the figures as JSON; a provider that is not there is null."""
    catalog = load_catalog()
    store = ModelStore(ROOT / "models", catalog)
    shown = frames()
    figures: dict[str, float | None] = {}
    for provider in PROVIDERS:
        parts = Parts(
            weights=store.path,
            label_maps={name: model.label_map for name, model in catalog.models.items()},
            config=DetectConfig(provider=provider),
        )
        for name in detector_names():
            try:
                (detector,) = build_detectors([name], parts)
            except ProviderUnavailable as error:
                print(f"{name:<6} {provider:<9} not run: {error}")
                figures |= {f"{name}_{provider}_wall_ms": None}
                continue
            wall_ms, cpu_ms = cost(detector, shown)
            detector.close()
            print(f"{name:<6} {provider:<9} {wall_ms:7.1f} ms wall {cpu_ms:7.1f} ms CPU per 720p frame")
            figures |= {f"{name}_{provider}_wall_ms": round(wall_ms, 1), f"{name}_{provider}_cpu_ms": round(cpu_ms, 1)}
    figures["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
