"""Counts what the engine does, as metrics. Any thread."""

from __future__ import annotations

from collections.abc import Callable, Collection
from threading import Lock

from streammon.detect.runtime.runtime import Runtime
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import Examined
from streammon.entities import Room, Unexamined
from streammon.errors import StreammonError
from streammon.metrics import Metrics

_UTILISATION_EVERY_S = 5.0


def count_examined(metrics: Metrics, room: Room, examined: Examined) -> None:
    """A frame of a room has been judged: what was done with it, and what it cost whom."""
    room_id, tenant = room.room_id, room.tenant
    metrics.room_examined.labels(room_id).inc()
    for observation in examined.observations:
        if observation.unexamined is not None:
            metrics.unexamined.labels(observation.detector, observation.unexamined.value).inc()
    if any(observation.unexamined is Unexamined.OVERDUE for observation in examined.observations):
        metrics.dropped.labels(room_id, "unfinished").inc()
    for detector, cost in examined.cost.items():
        metrics.room_cpu_seconds.labels(room_id, tenant, detector).inc(cost.cpu_s)
        metrics.room_provider_seconds.labels(room_id, tenant).inc(cost.provider_s)


def export_models(metrics: Metrics, runtime: Runtime, current: Collection[tuple[str, str]] | None = None) -> None:
    """Which provider each model runs on, as it turned out.

    `current` are those that detectors run, by name and sha256, where others are open as well; None where not.
    """
    metrics.model_info.clear()
    for model in runtime.models():
        if current is None or (model.model, model.sha256) in current:
            metrics.model_info.labels(model.model, model.provider, model.sha256).set(1)


def export_engine(metrics: Metrics, engine: Engine) -> None:
    """How busy the engine is, asked whenever the metrics are."""
    metrics.saturation.set_function(engine.saturation)
    metrics.engine_given_up_threads.set_function(lambda: engine.given_up)


class ProviderWatch:
    """How busy the execution providers are, over some seconds at a time."""

    def __init__(self, metrics: Metrics, runtime: Runtime) -> None:
        self._metrics = metrics
        self._runtime = runtime
        self._due_s = 0.0

    def tick(self, now_s: float) -> None:
        """Time has passed."""
        if now_s >= self._due_s:
            self._due_s = now_s + _UTILISATION_EVERY_S
            for provider, share in self._runtime.utilisation().items():
                self._metrics.utilisation.labels(provider).set(share)


class EngineNews:
    """The engine's `Listener`: passes on what was examined, which detectors are off, and that the engine has failed."""

    def __init__(
        self,
        metrics: Metrics,
        on_examined: Callable[[Examined], None],
        on_disabled: Callable[[tuple[str, ...]], None],
        on_failed: Callable[[StreammonError], None],
    ) -> None:
        """`on_disabled` is told of all detectors that are off, whenever these change."""
        self._metrics = metrics
        self._on_disabled = on_disabled
        self._lock = Lock()
        self._disabled: tuple[str, ...] = ()
        self.examined = on_examined
        self.failed = on_failed

    def ran(self, detector: str, seconds: float, frames: int) -> None:
        """See `Listener`."""
        self._metrics.detector_seconds.labels(detector).observe(seconds)
        self._metrics.batch_frames.labels(detector).observe(frames)
        self._metrics.analysed.labels(detector).inc(frames)

    def detector_disabled(self, detector: str, why: str) -> None:  # noqa: ARG002 - the engine has logged it
        """See `Listener`."""
        self._set(detector, disabled=True)

    def detector_enabled(self, detector: str) -> None:
        """See `Listener`."""
        self._set(detector, disabled=False)

    def _set(self, detector: str, *, disabled: bool) -> None:
        with self._lock:
            others = {name for name in self._disabled if name != detector}
            self._disabled = tuple(sorted(others | {detector} if disabled else others))
            self._metrics.detector_disabled.labels(detector).set(disabled)
            self._on_disabled(self._disabled)
