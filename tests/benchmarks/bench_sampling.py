"""CPU seconds of sampling the sample clip: streammon's sampler beside what most people write. `make bench-sampling`.

One thread each, in one process, one after the other; every way turns its samples into RGB arrays of full size.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import cv2

from streammon.ingest.sampling.sampler import Arrival, Sampler
from streammon.ingest.sampling.timeline import Timeline

CLIP = Path(__file__).resolve().parents[2] / "sample_streams" / "room.mp4"
REPEATS = 3


def by_streammon(interval_s: float) -> int:
    """The sampler, as the ingest process runs it."""
    taken = 0
    with av.open(str(CLIP)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        timeline, sampler = Timeline(stream.time_base or Fraction(1, 90_000)), Sampler(stream.codec_context, interval_s)
        for packet in container.demux(stream):
            if packet.size == 0 or packet.pts is None:
                continue
            arrival = Arrival(pts_s=timeline.seconds(packet.pts), received_at=datetime.now(UTC), received_s=0.0)
            sample = sampler.feed(packet, arrival)
            if sample is not None:
                sample.picture.to_ndarray(format="rgb24")
                taken += 1
    return taken


def by_pyav(interval_s: float) -> int:
    """PyAV, every frame decoded, one converted per interval."""
    taken, due_s = 0, 0.0
    with av.open(str(CLIP)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            if frame.time is not None and frame.time >= due_s:
                frame.to_ndarray(format="rgb24")
                taken, due_s = taken + 1, due_s + interval_s
    return taken


def by_opencv(interval_s: float) -> int:
    """OpenCV's VideoCapture: grab every frame, retrieve one per interval."""
    capture = cv2.VideoCapture(str(CLIP), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    taken, due_s = 0, 0.0
    while capture.grab():
        if capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 >= due_s:
            cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
            taken, due_s = taken + 1, due_s + interval_s
    capture.release()
    return taken


def demux_only(_: float) -> int:
    """The floor: nothing is decoded."""
    with av.open(str(CLIP)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def cpu_s(way: Callable[[float], int], interval_s: float) -> float:
    """The least of several runs' CPU seconds."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        way(interval_s)
        best = min(best, time.process_time() - started)
    return best


def main() -> int:
    """Prints a table and, as its last line, the figures as JSON."""
    figures: dict[str, float] = {"demux_s": round(cpu_s(demux_only, 1.0), 3)}
    print(f"{'interval':>8} {'streammon':>10} {'PyAV all':>10} {'OpenCV':>10}   CPU seconds for 48 s of 720p25")
    for interval_s in (1.0, 2.0, 5.0):
        ours, pyav, opencv = (cpu_s(way, interval_s) for way in (by_streammon, by_pyav, by_opencv))
        print(f"{interval_s:>7g}s {ours:>10.2f} {pyav:>10.2f} {opencv:>10.2f}")
        name = f"{interval_s:g}s"
        figures |= {f"streammon_{name}": round(ours, 3), f"ratio_opencv_{name}": round(opencv / ours, 1)}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
