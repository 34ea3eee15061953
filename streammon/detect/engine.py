"""The engine: shows a frame to every detector and says what came of it. All calls come from one thread, its owner's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streammon.detect.detector import Detector
from streammon.entities import Detection, Frame, Observation, Outcome

log = logging.getLogger(__name__)

OnRun = Callable[[str, float, int], None]
"""Told after each inference: the detector's name, how long it took in seconds, how many frames it was shown."""


@dataclass(slots=True)
class DetectorCounts:
    """Frames since the start: looked at, not looked at because the detector failed, and not even shown to it."""

    examined: int = 0
    failed: int = 0
    skipped: int = 0


class Engine:
    """Runs the detectors. One that fails costs its own observations, never the frame or the other detectors."""

    def __init__(
        self,
        detectors: Sequence[Detector],
        clock: Callable[[], float] = time.monotonic,
        on_run: OnRun | None = None,
    ) -> None:
        """`clock` is a monotonic clock in seconds, for the times that `on_run` is told."""
        self._detectors = tuple(detectors)
        self._clock = clock
        self._on_run = on_run
        self._failing: set[str] = set()
        self._counts = {detector.name: DetectorCounts() for detector in self._detectors}

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """In the order in which a frame is shown to them."""
        return self._detectors

    @property
    def counts(self) -> Mapping[str, DetectorCounts]:
        """By detector; live, so copy what must not change."""
        return self._counts

    def warm_up(self) -> None:
        """Make every detector ready to answer at its usual speed. Raises what a detector raises."""
        for detector in self._detectors:
            started = self._clock()
            detector.warm_up()
            log.info("detector %s (%s) ready after %.1f s", detector.name, detector.model, self._clock() - started)

    def examine(self, frame: Frame) -> list[Observation]:
        """One observation per detector. Raises nothing that a detector raises: its observation is not_examined."""
        return [self._show(detector, frame) for detector in self._detectors]

    def skip(self, frame: Frame) -> list[Observation]:
        """One not_examined observation per detector, for a frame that nobody wants any more."""
        for counts in self._counts.values():
            counts.skipped += 1
        return [_observation(detector, frame, None) for detector in self._detectors]

    def close(self) -> None:
        """Let go of all models. May be called twice."""
        for detector in self._detectors:
            detector.close()

    def _show(self, detector: Detector, frame: Frame) -> Observation:
        counts = self._counts[detector.name]
        started = self._clock()
        try:
            (found,) = detector.detect([frame])
        except Exception as error:  # noqa: BLE001 - whatever one detector does, the others go on
            counts.failed += 1
            self._note_failure(detector, error)
            return _observation(detector, frame, None)
        counts.examined += 1
        if self._on_run is not None:
            self._on_run(detector.name, self._clock() - started, 1)
        self._note_success(detector)
        return _observation(detector, frame, found)

    def _note_failure(self, detector: Detector, error: Exception) -> None:
        if detector.name not in self._failing:
            self._failing.add(detector.name)
            log.error(
                "detector %s fails, its frames are not examined: %s: %s", detector.name, type(error).__name__, error
            )
            log.debug("where detector %s failed", detector.name, exc_info=error)

    def _note_success(self, detector: Detector) -> None:
        if detector.name in self._failing:
            self._failing.discard(detector.name)
            log.warning("detector %s works again", detector.name)


def _observation(detector: Detector, frame: Frame, found: tuple[Detection, ...] | None) -> Observation:
    """`found` is None where the detector has not looked."""
    return Observation(
        room_id=frame.room_id,
        detector=detector.name,
        labels=detector.labels,
        outcome=Outcome.NOT_EXAMINED if found is None else Outcome.EXAMINED,
        moment=frame.moment,
        at_s=frame.received_s,
        detections=found if found is not None else (),
    )
