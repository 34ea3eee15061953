"""Roboflow's InferencePipeline, one process for all rooms: `streamvision_pipeline.py WEIGHTS URL...`.

Of each room it is shown what its own sources and multiplexer hand over; the first frame of each 2 s is looked at, when
it comes. Results on standard output.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.benchmarks.engine.peers.pack import FRAMES_PER_SAMPLE, Pack, write

_COLLECT_S = 0.1
"""The documentation asks to set it: otherwise all rooms wait for the slowest."""


class Looking:
    """What the pipeline calls with each round's frames."""

    def __init__(self, weights: str) -> None:
        self._pack = Pack(weights)
        self._looked: dict[int, int] = {}

    def take(self, frames: Sequence[Any]) -> list[None]:
        """Looks at those whose turn it is."""
        for frame in frames:
            sample = frame.frame_id // FRAMES_PER_SAMPLE
            if sample > self._looked.get(frame.source_id, -1):
                self._looked[frame.source_id] = sample
                # Its frames carry local wall time without a zone.
                read_s = time.monotonic() - (datetime.now() - frame.frame_timestamp).total_seconds()  # noqa: DTZ005
                write(frame.source_id, read_s, frame.frame_id, self._pack.look(frame.image))
        return [None for _ in frames]


def main() -> int:
    """Runs until it is ended."""
    weights, *urls = sys.argv[1:]
    pipeline = importlib.import_module("streamvision.stream.pipeline").InferencePipeline.init_with_custom_logic(
        video_reference=urls, on_video_frame=Looking(weights).take, batch_collection_timeout=_COLLECT_S
    )
    pipeline.start()
    pipeline.join()
    return 1


if __name__ == "__main__":
    sys.exit(main())
