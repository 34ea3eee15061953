"""Builds the places that events go to, as the settings name them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from streammon.deliver.config import WebhookConfig
from streammon.deliver.console import ConsoleSink, StdoutSink
from streammon.deliver.dead_letters import DeadLetters
from streammon.deliver.jsonl import JsonlSink
from streammon.deliver.kafka import KafkaSink, kafka_producer
from streammon.deliver.sinks import Sink
from streammon.deliver.webhook import Receiver, WebhookSink
from streammon.fleet.config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """A sink, and where what it can never take goes; None where it takes all."""

    sink: Sink
    dead_letters: DeadLetters | None = None


def build_outlets(settings: Settings, state: Path, write: Callable[[str], None] | None) -> list[Outlet]:
    """The sinks that the settings name, and the console where `write` is given. At least one must come of it.

    Raises ConfigError where a secret is not where it should be, DeliveryError where a sink cannot be made.
    """
    deliver = settings.deliver
    outlets = [] if write is None else [Outlet(sink=StdoutSink(write) if deliver.stdout else ConsoleSink(write))]
    if settings.events is not None:
        jsonl = JsonlSink(settings.events, max_bytes=deliver.events_max_bytes, keep=deliver.events_keep)
        outlets.append(Outlet(sink=jsonl))
    if deliver.webhook is not None:
        letters = DeadLetters(JsonlSink(state / "dead-letters.jsonl"))
        outlets.append(Outlet(sink=WebhookSink(_receiver(deliver.webhook)), dead_letters=letters))
    # Kafka last: at the end each is flushed in turn, and a broker that is down takes its whole time.
    if (bootstrap := settings.kafka.bootstrap) is not None:
        kafka, letters_too = (
            KafkaSink(kafka_producer(settings.kafka, bootstrap), structured=settings.kafka.structured) for _ in range(2)
        )
        outlets.append(Outlet(sink=kafka, dead_letters=DeadLetters(letters_too)))
    return outlets


def _receiver(config: WebhookConfig) -> Receiver:
    return Receiver(
        url=config.url,
        secret=None if config.secret is None else config.secret.read("deliver.webhook.secret"),
        batch=config.batch,
        timeout_s=config.timeout,
        ca_file=config.ca_file,
    )
