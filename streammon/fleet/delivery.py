"""Composes delivery: the outbox, a deliverer for each sink, and the evidence store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streammon.deliver.config import SpoolConfig
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.evidence_config import EvidenceConfig, deletions_folder
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.outbox import Outbox
from streammon.errors import SpoolError, StreammonError
from streammon.events import EvidenceKind, EvidenceStatus, Monitor
from streammon.fleet.sinks import Outlet
from streammon.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """What is kept for a sink that did not take it: how many events, and why as far as is known."""

    sink: str
    count: int
    reason: str | None


class Delivery:
    """Everything behind the judge. `evidence` says where its pictures lie (see `placed`).

    Raises SpoolError where the spool cannot be had, EvidenceError where the evidence store cannot.
    """

    def __init__(
        self,
        state: Path,
        outlets: Sequence[Outlet],
        evidence: EvidenceConfig,
        monitor: Monitor,
        metrics: Metrics,
        *,
        spool: SpoolConfig,
    ) -> None:
        _make_folder(state)
        self.outbox = Outbox(state / "spool.sqlite", max_bytes=spool.max_bytes)
        try:
            self.outbox.register_sinks([outlet.sink.name for outlet in outlets])
            self.evidence = EvidenceStore(
                self.outbox, evidence, monitor, deletions_folder(state), count=partial(_count_evidence, metrics)
            )
        except StreammonError:
            self.outbox.close()
            raise
        self.deliverers = [Deliverer(self.outbox, outlet.sink, dead_letters=outlet.dead_letters) for outlet in outlets]
        self._measure(metrics)

    def _measure(self, metrics: Metrics) -> None:
        for deliverer in self.deliverers:
            name = deliverer.name
            metrics.outbox_depth.labels(name).set_function(partial(_number, self.outbox.depth, name))
            metrics.outbox_oldest_seconds.labels(name).set_function(partial(_number, self.outbox.oldest_age_s, name))
            metrics.dead_letters.labels(name).set_function(partial(getattr, deliverer, "refused"))
        for kind in self.outbox.gave_way:
            metrics.gave_way.labels(kind).set_function(partial(self._gave_way, kind))
        metrics.spool_damaged.set_function(lambda: self.outbox.set_aside is not None)
        metrics.evidence_pending.set_function(partial(_number, self.outbox.evidence_depth))

    def _gave_way(self, kind: str) -> int:
        return self.outbox.gave_way[kind]

    def start(self) -> None:
        """Begins to deliver what is committed, what an earlier run left behind first."""
        for deliverer in self.deliverers:
            deliverer.start()
        self.evidence.start()

    def close(self, flush_s: float) -> list[Undelivered]:
        """Delivers what it can within `flush_s` and stops. Returns what sinks still have to get."""
        until_s = time.monotonic() + flush_s
        self.evidence.flush(max(0.0, until_s - time.monotonic()))
        for deliverer in self.deliverers:
            deliverer.flush(max(0.0, until_s - time.monotonic()))
        left = [
            Undelivered(sink=deliverer.name, count=self.outbox.depth(deliverer.name), reason=deliverer.status.reason)
            for deliverer in self.deliverers
        ]
        for deliverer in self.deliverers:
            deliverer.close()
        self.evidence.close()
        self.outbox.close()
        return [sink for sink in left if sink.count]


def _number(ask: Callable[..., float | None], *args: str) -> float:
    """What a gauge shows: 0 for None, and NaN where the spool fails, which must not cost the scrape all others."""
    try:
        value = ask(*args)
    except SpoolError:
        return math.nan
    return value if value is not None else 0.0


def _count_evidence(metrics: Metrics, kind: EvidenceKind, status: EvidenceStatus) -> None:
    metrics.evidence.labels(kind.value, status.value).inc()


def _make_folder(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpoolError(f"{state} cannot be made: {error.strerror}; give another folder with --state") from error
