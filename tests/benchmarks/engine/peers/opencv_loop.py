"""The loop most people write, a process per room: `opencv_loop.py WEIGHTS ROOM URL`. Results on standard output."""

from __future__ import annotations

import sys
import time
from itertools import count

import cv2

from tests.benchmarks.engine.peers.pack import FRAMES_PER_SAMPLE, Pack, write


def main() -> int:
    """Reads every frame, looks at each sixtieth, until the stream ends."""
    weights, room, url = sys.argv[1:]
    pack, capture = Pack(weights), cv2.VideoCapture(url)
    for frame in count():
        ok, picture = capture.read()
        if not ok:
            return 1
        if frame % FRAMES_PER_SAMPLE == 0:
            read_s = time.monotonic()
            write(int(room), read_s, frame, pack.look(picture))
    return 0


if __name__ == "__main__":
    sys.exit(main())
