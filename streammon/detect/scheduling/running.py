"""Runs a batch and measures what it costs. In a worker's thread, without the engine's lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from streammon.detect.detector import InformedDetector
from streammon.detect.scheduling.lane import Batch
from streammon.detect.scheduling.request import Cost
from streammon.entities import Detection
from streammon.errors import ModelError


class Runtime(Protocol):
    """What the models run on, as far as the engine cares. Used by every worker, for its own thread."""

    def limit(self, seconds: float) -> AbstractContextManager[object]:
        """Within it, this thread's runs end with an error when so much time has passed."""

    def used_s(self) -> float:
        """Seconds for which this thread's runs have held an execution provider, since any fixed point."""


class NoRuntime:
    """For detectors that run no models: nothing to end, and nothing to count."""

    def limit(self, seconds: float) -> AbstractContextManager[object]:  # noqa: ARG002
        """A detector's own code cannot be ended; the engine gives its thread up."""
        return nullcontext()

    def used_s(self) -> float:
        """None is held."""
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a batch: what is in each frame, or None and the error."""

    found: Sequence[tuple[Detection, ...]] | None
    error: Exception | None
    cost: Cost


def run(batch: Batch, runtime: Runtime) -> Run:
    """Shows a batch to its detector. Raises nothing that a detector raises."""
    cpu_s, provider_s = time.thread_time(), runtime.used_s()
    found, error = None, None
    try:
        with runtime.limit(batch.lane.max_seconds):
            found = _detect(batch)
    except Exception as raised:  # noqa: BLE001 - whatever one detector does, the others go on
        error = raised
    return Run(
        found=found,
        error=error,
        cost=Cost(cpu_s=time.thread_time() - cpu_s, provider_s=runtime.used_s() - provider_s),
    )


def _detect(batch: Batch) -> Sequence[tuple[Detection, ...]]:
    detector = batch.detector
    frames = [admitted.request.frame for admitted in batch.frames]
    if isinstance(detector, InformedDetector):
        found = detector.detect_in(frames, batch.found)
    else:
        found = detector.detect(frames)
    if len(found) != len(frames):
        raise ModelError(f"detector {detector.name} gave {len(found)} answers for {len(frames)} frames")
    return found
