"""Composes delivery: the outbox, a deliverer for each sink, and the evidence store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streammon.bus import Producer
from streammon.deliver.config import EvidenceConfig
from streammon.deliver.console import ConsoleSink
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.jsonl import JsonlSink
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.outbox import Outbox
from streammon.deliver.sinks import Sink
from streammon.errors import SpoolError
from streammon.fleet.config import Settings
from streammon.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """What is kept for a sink that did not take it: how many events, and why as far as is known."""

    sink: str
    count: int
    reason: str | None


class Delivery:
    """Everything behind the judge. Raises SpoolError where the spool cannot be had."""

    def __init__(self, state: Path, sinks: Sequence[Sink], evidence: EvidenceConfig, metrics: Metrics) -> None:
        _make_folder(state)
        self.outbox = Outbox(state / "spool.sqlite")
        try:
            self.outbox.register_sinks([sink.name for sink in sinks])
        except SpoolError:
            self.outbox.close()
            raise
        self.deliverers = [Deliverer(self.outbox, sink) for sink in sinks]
        self.evidence = EvidenceStore(self.outbox, evidence.folder)
        for sink in sinks:
            metrics.outbox_depth.labels(sink.name).set_function(partial(_number, self.outbox.depth, sink.name))
            metrics.outbox_oldest_seconds.labels(sink.name).set_function(
                partial(_number, self.outbox.oldest_age_s, sink.name)
            )
        metrics.evidence_pending.set_function(partial(_number, self.outbox.evidence_depth))

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


def build_sinks(settings: Settings, write: Callable[[str], None] | None) -> list[Sink]:
    """The sinks that the settings name, and the console where `write` is given. At least one must come of it."""
    sinks: list[Sink] = [] if write is None else [ConsoleSink(write)]
    # Kafka last: at the end each is flushed in turn, and a broker that is down takes its whole time.
    if settings.events is not None:
        sinks.append(JsonlSink(settings.events))
    if settings.kafka.bootstrap is not None:
        sinks.append(KafkaSink(Producer(settings.kafka.bootstrap, client_id=settings.kafka.client_id)))
    return sinks


def _make_folder(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpoolError(f"{state} cannot be made: {error.strerror}; give another folder with --state") from error
