"""Runs a batch and measures what it costs. In a worker's thread, without the engine's lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from streammon.detect.detector import Detector, Found, InformedDetector, ScreeningDetector
from streammon.detect.scheduling.lane import Batch
from streammon.detect.scheduling.request import Cost, Reuse
from streammon.entities import Detection, Frame
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
    """What came of a batch: what is in each frame (None: nothing new for the detector), or None and the error."""

    found: Sequence[tuple[Detection, ...] | None] | None
    error: Exception | None
    cost: Cost


def run(batch: Batch, runtime: Runtime, reuse: Reuse | None) -> Run:
    """Shows a batch to its detector. Raises nothing that a detector raises."""
    cpu_s, provider_s = time.thread_time(), runtime.used_s()
    found, error = None, None
    try:
        with runtime.limit(batch.lane.max_seconds):
            found = _detect(batch, reuse)
    except Exception as raised:  # noqa: BLE001 - whatever one detector does, the others go on
        error = raised
    return Run(
        found=found,
        error=error,
        cost=Cost(cpu_s=time.thread_time() - cpu_s, provider_s=runtime.used_s() - provider_s),
    )


def _detect(batch: Batch, reuse: Reuse | None) -> Sequence[tuple[Detection, ...] | None]:
    detector = batch.detector
    frames = [admitted.request.frame for admitted in batch.frames]
    at = [at for at, frame in enumerate(frames) if not _spared(detector, frame, reuse)]
    found: list[tuple[Detection, ...] | None] = [None] * len(frames)
    if at:
        looks = look(detector, [frames[one] for one in at], [batch.found[one] for one in at])
        for one, detections in zip(at, looks, strict=True):
            found[one] = detections
    return found


def _spared(detector: Detector, frame: Frame, reuse: Reuse | None) -> bool:
    """Whether what has changed is a part in which there is nothing for the detector."""
    if reuse is None or not isinstance(detector, ScreeningDetector):
        return False
    part = reuse.part(frame, detector.name)
    return part is not None and not detector.may_see(frame, part)


def look(detector: Detector, frames: Sequence[Frame], gates: Sequence[Found]) -> Sequence[tuple[Detection, ...]]:
    """What a detector sees in each frame, told what its gates found there. Raises what it raises, and ModelError where
    it does not answer for each.
    """
    found = detector.detect_in(frames, gates) if isinstance(detector, InformedDetector) else detector.detect(frames)
    if len(found) != len(frames):
        raise ModelError(f"detector {detector.name} gave {len(found)} answers for {len(frames)} frames")
    return found
