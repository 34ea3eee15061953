"""The engine's worker threads, and those that were given up. Its owner holds the lock, save for `start` and `join`."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from threading import Thread

from streammon.detect.scheduling.lane import Batch


class Worker:
    """One thread. `batch` is what it runs now, `round_s` when it last came round, by the engine's clock."""

    def __init__(self, number: int, work: Callable[[Worker], None], now_s: float) -> None:
        self.batch: Batch | None = None
        self.round_s = now_s
        self.thread = Thread(target=work, args=(self,), name=f"engine-worker-{number}", daemon=True)


class Crew:
    """A fixed number of workers at work. One that hangs is given up, and another takes its place."""

    def __init__(self, size: int, work: Callable[[Worker], None]) -> None:
        """`work` is a worker's whole life; it returns when the engine ends, or after its batch was given up."""
        self._size = size
        self._work = work
        self._numbers = count(1)
        self._workers: list[Worker] = []
        self._hung: list[Worker] = []

    def start(self, now_s: float) -> None:
        """Starts the threads."""
        for _ in range(self._size):
            self._add(now_s)

    def replace(self, batch: Batch, now_s: float) -> None:
        """Gives up the worker that runs this batch, and starts another."""
        worker = next(worker for worker in self._workers if worker.batch is batch)
        self._workers.remove(worker)
        self._hung.append(worker)
        self._add(now_s)

    def given_up(self) -> list[Worker]:
        """Workers that were given up and have not come back."""
        self._hung = [worker for worker in self._hung if worker.thread.is_alive()]
        return self._hung

    def alive(self, since_s: float) -> bool:
        """Whether all have come round since then."""
        return all(worker.thread.is_alive() and worker.round_s >= since_s for worker in self._workers)

    def join(self, timeout_s: float) -> bool:
        """Waits for the threads to end, those that were given up excepted. False where one did not in time."""
        until_s = time.monotonic() + timeout_s
        for worker in self._workers:
            worker.thread.join(max(0.0, until_s - time.monotonic()))
        return not self.running()

    def running(self) -> list[Worker]:
        """Workers whose threads have not ended, those that were given up excepted."""
        return [worker for worker in self._workers if worker.thread.is_alive()]

    def _add(self, now_s: float) -> None:
        worker = Worker(next(self._numbers), self._work, now_s)
        self._workers.append(worker)
        worker.thread.start()
