"""A worker's life: takes the best batch, runs it, says what came of it. In the workers' threads."""

from __future__ import annotations

import logging

from streammon.detect.scheduling.lane import Batch
from streammon.detect.scheduling.running import run
from streammon.detect.scheduling.shared import Shared
from streammon.detect.scheduling.workers import Worker

log = logging.getLogger(__name__)

_IDLE_S = 1.0


class Work:
    """What each worker does until the engine ends, or its batch was given up."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def __call__(self, worker: Worker) -> None:
        """A worker's thread, from its start to its end."""
        try:
            while not self._shared.stopping:
                batch = self._next(worker)
                if batch is not None and not self._run(worker, batch):
                    return
        except Exception as error:  # noqa: BLE001 - the thread's top frame
            self._shared.fall(worker.thread.name, error)

    def _next(self, worker: Worker) -> Batch | None:
        with self._shared.changed:
            worker.round_s = now_s = self._shared.hooks.clock()
            worker.batch = None if self._shared.stopping else self._shared.scheduler.next_batch(now_s)
            if worker.batch is None and not self._shared.stopping:
                self._shared.changed.wait(_IDLE_S)
            return worker.batch

    def _run(self, worker: Worker, batch: Batch) -> bool:
        """False where the batch was given up meanwhile: another worker has taken this one's place."""
        came = run(batch, self._shared.hooks.runtime, self._shared.hooks.reuse)
        now_s = self._shared.hooks.clock()
        with self._shared.changed:
            worker.batch = None
            if batch.given_up:
                log.warning("detector %s came back after %.1f s", batch.lane.name, now_s - batch.started_s)
                return False
            if came.found is not None:
                self._shared.scheduler.answered(batch, came.found, came.cost, now_s)
            else:
                self._shared.scheduler.failed(batch, f"{type(came.error).__name__}: {came.error}", came.cost, now_s)
            self._shared.wake()
        if came.found is not None:
            self._shared.listener.ran(batch.lane.name, now_s - batch.started_s, len(batch.frames))
        else:
            log.debug("where detector %s failed", batch.lane.name, exc_info=came.error)
        self._shared.tell()
        return True
