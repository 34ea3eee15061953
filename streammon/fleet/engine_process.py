"""The engine process of `streammon run`: one Monitor and its rooms, until the lifeline to the supervisor is cut.

The main thread watches; a thread of its own waits for the end of the lifeline. The ingest processes are the engine's
own children, and die with it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import msgspec

from streammon.errors import ConfigError, ModelError, ProviderUnavailable, RuntimeMissing, StreammonError
from streammon.fleet.config import Settings
from streammon.fleet.engine_link import UNUSABLE, Begin
from streammon.fleet.monitor import Monitor
from streammon.fleet.state_lock import held
from streammon.logs import log_to_stderr

_log = logging.getLogger(__name__)

_UNUSABLE = (ConfigError, ModelError, ProviderUnavailable, RuntimeMissing)
# A predecessor that lost its supervisor ends in order, which takes it as long as `stop_within` at most.
_LOCK_SLACK_S = 5.0


def main(lifeline_fd: int) -> int:
    """The process's whole life. Returns its exit status."""
    faulthandler.enable()
    begin = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Begin)
    log_to_stderr(begin.log_level)
    settings = Settings.model_validate_json(begin.settings)
    stop, watching = Flag(), Flag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    args = (lifeline_fd, stop, watching, settings.supervisor.stop_within)
    Thread(target=_end_with_supervisor, args=args, name="lifeline", daemon=True).start()
    try:
        _watch(settings, begin, stop, watching)
    except _UNUSABLE as error:
        sys.stderr.write(f"streammon: {error}\n")
        return UNUSABLE
    except StreammonError as error:
        _log.error("%s", error)
        return 1
    finally:
        shutil.rmtree(
            Path(begin.socket).parent, ignore_errors=True
        )  # nobody else does, where the supervisor was killed
    return 0


def _watch(settings: Settings, begin: Begin, stop: Flag, watching: Flag) -> None:
    if settings.state is None:
        raise ValueError("settings.state must be set")
    write = partial(print, flush=True) if settings.deliver.stdout else None
    with held(settings.state / "engine.lock", stop, settings.supervisor.stop_within + _LOCK_SLACK_S):
        monitor = Monitor(settings, write, Path(begin.socket))
        try:
            monitor.warm_up()
            watching.set()
            monitor.start(begin.rooms)
            monitor.wait(stop)
            stop.wait()  # where all rooms are over, their metrics are still asked for
        finally:
            left = monitor.close()
    for kept in left:
        _log.warning("%d events for %s are kept; the next run delivers them (%s)", kept.count, kept.sink, kept.reason)


def _end_with_supervisor(lifeline_fd: int, stop: Flag, watching: Flag, stop_within_s: float) -> None:
    """Waits until the supervisor closes its end, or is gone; then the process ends in time, in order if it can."""
    os.read(lifeline_fd, 1)
    if not watching.is_set():
        os._exit(0)  # nothing is open that should be ended, and warming up cannot be broken off
    # From a thread of C, which no hung thread of Python can keep from it.
    faulthandler.dump_traceback_later(stop_within_s, exit=True)
    stop.set()


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
