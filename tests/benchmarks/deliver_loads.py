"""Loads of events, the ways to Kafka that they are put on, and what each event waited. For `bench_deliver.py`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import Any, Protocol

from kafka import KafkaProducer
from prometheus_client import CollectorRegistry

from streammon.bus import Producer
from streammon.deliver.config import SpoolConfig
from streammon.deliver.envelope import Envelope
from streammon.deliver.evidence_config import EvidenceConfig, placed
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.sinks import Refusal
from streammon.errors import DeliveryError
from streammon.events import Phase, ViolationEvent
from streammon.fleet.commit import Committer
from streammon.fleet.delivery import Delivery
from streammon.fleet.sinks import Outlet
from streammon.judge.policy import Policy
from streammon.metrics import Metrics
from tests.unit.test_deliver_envelope import MONITOR, VIOLATION

_ROOMS = 40
_WARM_UP = 50
_FLUSH_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many events, each due so many seconds after the one before; 0: as fast as they are taken."""

    events: int
    every_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a way made of a load. The CPU is of all threads of this process; `waited_s` is sorted."""

    events_per_s: float
    cpu_ms_per_event: float
    waited_s: Sequence[float]

    def waited_ms(self, share: float) -> float:
        """So long waited that share of the events at most, 0..1."""
        return 1000 * self.waited_s[min(len(self.waited_s) - 1, int(share * len(self.waited_s)))]


class Way(Protocol):
    """A way to Kafka. `acked_s` holds when the broker had each event, by id, on `time.perf_counter()`."""

    acked_s: dict[str, float]

    def put(self, event: ViolationEvent) -> None:
        """Take one event; returns when the next one may be judged."""
        ...

    def finish(self) -> None:
        """Return when the broker has all."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class ByStreammon:
    """Committed to the spool, a transaction each with `synchronous=FULL`, and delivered by a deliverer's thread."""

    def __init__(self, bootstrap: str, state: Path) -> None:
        metrics, evidence = Metrics(CollectorRegistry()), placed(EvidenceConfig(), state)
        sink = _Stamped(KafkaSink(Producer(bootstrap)))
        self.acked_s = sink.acked_s
        self._delivery = Delivery(state, [Outlet(sink=sink)], evidence, MONITOR, metrics, spool=SpoolConfig())
        self._committer = Committer(self._delivery.outbox, evidence, _no_policy, metrics)
        self._stop = Flag()
        self._delivery.start()

    def put(self, event: ViolationEvent) -> None:
        """As the engine's thread does it with what the judge says."""
        self._committer.commit([event], None, self._stop)

    def finish(self) -> None:
        """Raises DeliveryError where it takes minutes."""
        if not self._delivery.deliverers[0].flush(_FLUSH_S):
            raise DeliveryError(f"not delivered: {self._delivery.deliverers[0].status}")

    def close(self) -> None:
        """Ends the threads."""
        self._delivery.close(0.0)


class ByKafkaPython:
    """The bare client, idempotent and with all acks, which waits for each batch. A crash loses what it has not sent."""

    def __init__(self, bootstrap: str, batch: int) -> None:
        self.acked_s: dict[str, float] = {}
        self._batch = batch
        self._waiting: list[str] = []
        # What ours is set to: the same batches, compressed alike.
        self._client: Any = KafkaProducer(  # type: ignore[no-untyped-call]
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            compression_type="gzip",
            batch_size=1 << 20,
            linger_ms=1000,
        )

    def put(self, event: ViolationEvent) -> None:
        """Sends it when the batch is full, and waits for the acknowledgement."""
        sealed = Envelope.of(event)
        headers = list(sealed.kafka_headers())
        self._client.send(sealed.topic, value=sealed.value, key=sealed.key.encode(), headers=headers)
        self._waiting.append(sealed.event_id)
        if len(self._waiting) == self._batch:
            self.finish()

    def finish(self) -> None:
        """Raises KafkaError where the broker does not answer."""
        self._client.flush(_FLUSH_S)
        self.acked_s |= dict.fromkeys(self._waiting, time.perf_counter())
        self._waiting.clear()

    def close(self) -> None:
        """Ends the client's thread."""
        self._client.close()


class _Stamped:
    """A Kafka sink that notes when the broker had what it was given."""

    def __init__(self, sink: KafkaSink) -> None:
        self.acked_s: dict[str, float] = {}
        self.name = sink.name
        self._sink = sink

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        """See `Sink.send`."""
        taken = self._sink.send(envelopes)
        if not isinstance(taken, Refusal):
            at_s = time.perf_counter()
            self.acked_s |= {envelope.event_id: at_s for envelope in envelopes[:taken]}
        return taken

    def close(self) -> None:
        """See `Sink.close`."""
        self._sink.close()


def measure(way: Way, load: Load) -> Figures:
    """Puts a load on a way, after some events that make it warm, and closes it."""
    try:
        for event in events(_WARM_UP):
            way.put(event)
        way.finish()
        return _measured(way, load)
    finally:
        way.close()


def _measured(way: Way, load: Load) -> Figures:
    judged_s: dict[str, float] = {}
    to_come = list(events(load.events))  # judging them is not what is measured
    cpu_s, began_s = time.process_time(), time.perf_counter()
    for number, event in enumerate(to_come):
        due_s = began_s + number * load.every_s
        if load.every_s:
            time.sleep(max(0.0, due_s - time.perf_counter()))
        # One that has to wait for those before it was judged when it was due, not when its turn came.
        judged_s[event.event_id] = due_s if load.every_s else time.perf_counter()
        way.put(event)
    way.finish()
    cpu_s = time.process_time() - cpu_s
    ended_s = max(way.acked_s[event_id] for event_id in judged_s)
    return Figures(
        events_per_s=load.events / (ended_s - began_s),
        cpu_ms_per_event=1000 * cpu_s / load.events,
        waited_s=sorted(way.acked_s[event_id] - at_s for event_id, at_s in judged_s.items()),
    )


def events(count: int) -> Iterator[ViolationEvent]:
    """Starts, and soon after each its end, in many rooms."""
    incidents: list[str] = []
    for number in range(count):
        starts = number // _ROOMS % 2 == 0
        slot = number % _ROOMS
        if starts:
            incidents[slot : slot + 1] = [str(uuid.uuid4())]
        yield replace(
            VIOLATION,
            incident_id=incidents[slot],
            phase=Phase.START if starts else Phase.END,
            seq=1 + number // _ROOMS,
            room_id=f"直播间/{slot}",
        )


def _no_policy(room_id: str) -> Policy:
    """Asked only where there is a picture."""
    raise LookupError(room_id)
