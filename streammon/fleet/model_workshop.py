"""Builds detectors that are to be tried, and lets go of those that are not wanted any more. On a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Flag
from threading import Thread

import numpy as np

from streammon.detect.detector import Detector
from streammon.detect.parts import Parts
from streammon.detect.registry import build_detectors
from streammon.detect.scheduling.running import look
from streammon.detect.shadow.runner import ShadowRunner
from streammon.entities import Frame, Moment

_log = logging.getLogger(__name__)

_LET_GO_WITHIN_S = 30.0
# Longer than a trial without a frame needs to see that it is over.
_LET_GO_AT_THE_END_S = 1.0
_POLL_S = 0.05
_STOP_WITHIN_S = 10.0
# A provider may compile for minutes.
_WARM_WITHIN_S = 600.0


class Workshop:
    """Does one job after the other. `in_use` tells whether the engine shows frames to a detector still."""

    def __init__(self, parts: Parts, in_use: Callable[[Detector], bool]) -> None:
        self._parts = parts
        self._in_use = in_use
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stop = Flag()
        self._thread = Thread(target=self._run, name="model-updates", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def do(self, job: Callable[[], None]) -> None:
        """Has a job done when its turn comes; one that raises is logged and costs no other."""
        self._jobs.put(job)

    def built(self, name: str, files: Mapping[str, Path]) -> Detector:
        """The detector with these files for its models, warm and tried on a grey picture. Takes seconds.

        To be called in a job. Raises what building raises, and whatever the detector raises.
        """
        (detector,) = build_detectors([name], self._parts, {name: files})
        try:
            with self._parts.runtime.limit(_WARM_WITHIN_S):
                detector.warm_up()
                look(detector, [_grey()], [{}])
        except BaseException:
            detector.close()
            raise
        self._parts.runtime.warmed_up()
        return detector

    def let_go(self, detector: Detector, runner: ShadowRunner | None = None) -> None:
        """Has the detector closed once it looks at no frame, neither in the engine nor in its trial."""
        self.do(lambda: self._close(detector, runner))

    def close(self) -> bool:
        """Ends the thread once what waits is done; False where that took too long."""
        self._stop.set()
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - the thread's top frame
                _log.exception("a fault of our own while models are updated")

    def _close(self, detector: Detector, runner: ShadowRunner | None) -> None:
        began_s = time.monotonic()
        while self._in_use(detector) or (runner is not None and not runner.close(0.0)):
            time.sleep(_POLL_S)
            if time.monotonic() > began_s + (_LET_GO_AT_THE_END_S if self._stop.is_set() else _LET_GO_WITHIN_S):
                _log.warning("detector %s (%s) hangs in a frame; its model stays open", detector.name, detector.model)
                return
        detector.close()


def _grey() -> Frame:
    image = np.full((360, 640, 3), 114, np.uint8)
    moment = Moment(session=0, pts_s=0.0, received_at=datetime.now(UTC))
    return Frame(
        room_id="", moment=moment, seq=0, key_frame=True, width=640, height=360, image=image,
        received_s=0.0, deadline_s=0.0,
    )  # fmt: skip
