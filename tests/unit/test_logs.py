"""A log line says which room it is about, and only then."""

from __future__ import annotations

import subprocess
import sys

_SAYS = """
import logging
from streammon.logs import log_to_stderr
log_to_stderr(logging.INFO)
log = logging.getLogger("streammon.test")
log.info("room is %s", "stalled", extra={"room_id": "r 1", "reason": None})
log.debug("too low")
log.warning("nothing of a room")
"""


def test_a_line_ends_in_whom_it_is_about() -> None:
    done = subprocess.run([sys.executable, "-c", _SAYS], capture_output=True, text=True, check=True, timeout=30.0)
    said = [line.partition("streammon.test: ")[2] for line in done.stderr.splitlines()]
    assert said == ["room is stalled room_id='r 1'", "nothing of a room"]
