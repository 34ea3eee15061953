"""A child that reads containers of which it trusts nothing, one after the other, as a room's thread does.

Each comes over stdin: four bytes of length, one that says whether it can be sought in, and its bytes. The answer is a
line: how it ended (`end`, or the error's class), pictures decoded, and the process's greatest size so far in MiB.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from threading import Event

import av.logging

from streammon.errors import SourceError
from streammon.ingest.media.bounds import USUAL_BOUNDS
from streammon.ingest.media.demux import DemuxedRun, open_container, stamped_now
from streammon.ingest.media.ffmpeg_memory import bound_allocations
from streammon.ingest.sampling.sampler import Arrival, Sampler

_PROBE = {"probesize": "500000", "analyzeduration": "700000"}
_INTERVAL_S = 0.05


class Pipe:
    """Bytes that cannot be sought in."""

    def __init__(self, content: bytes) -> None:
        self.read = BytesIO(content).read


def main() -> None:
    av.logging.set_level(None)
    bound_allocations(USUAL_BOUNDS)
    while head := sys.stdin.buffer.read(5):
        content = sys.stdin.buffer.read(int.from_bytes(head[:4], "big"))
        ended, pictures = read(BytesIO(content) if head[4] else Pipe(content))
        print(ended, pictures, peak_mib(), flush=True)


def peak_mib() -> int:
    """The most memory that this process has held, which its `ru_maxrss` is not: that begins with its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10


def read(file: BytesIO | Pipe) -> tuple[str, int]:
    """How the container ended, and how many of its pictures were decoded. Any other error is the child's end."""
    pictures = 0
    try:
        with open_container(file, options=_PROBE) as container:
            run = DemuxedRun(container, Event(), stamped_now, stall_after_s=None, pace=False)
            sampler = Sampler(run.stream.codec_context, _INTERVAL_S)
            for number, received in enumerate(run.packets()):
                arrival = Arrival(pts_s=number * 0.04, received_at=received.received_at, received_s=received.received_s)
                sample = sampler.feed(received.packet, arrival)
                if sample is not None:
                    sample.picture.reformat(width=64, height=64, format="rgb24").to_ndarray()
                pictures = sampler.counts.decoded
    except SourceError as error:
        return type(error).__name__, pictures
    return "end", pictures


if __name__ == "__main__":
    main()
