"""What a stream may make its process allocate, measured in a child."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_ingest_bounds import video

ROOT = Path(__file__).parents[2]
OPENS = """
import sys
from threading import Event
from streammon.errors import SourceTooLarge
from streammon.ingest.media.demux import DemuxedRun, open_container, stamped_now
from tests.unit.container_reader import peak_mib
before = peak_mib()
class Pipe:
    read = sys.stdin.buffer.read1
try:
    with open_container(Pipe(), options={}) as container:
        DemuxedRun(container, Event(), stamped_now, stall_after_s=None, pace=False)
except SourceTooLarge:
    print(peak_mib() - before)
"""


@pytest.mark.parametrize("container", ["flv", "mpegts"])
def test_nothing_is_allocated_for_a_picture_that_is_refused(container: str) -> None:
    content = video("libx264", container, (6144, 6144), pictures=3)
    child = subprocess.run(
        [sys.executable, "-c", OPENS], input=content, capture_output=True, timeout=20, check=True, cwd=ROOT
    )
    assert int(child.stdout) < 12, "MiB; one such picture has 54"
