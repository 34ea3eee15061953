"""Reads from Kafka, from the beginning, all that a consumer sees of what killed processes have judged."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from streammon.bus import Consumer, Received
from streammon.deliver.envelope import Envelope
from streammon.events import StreamEvent, ViolationEvent
from tests.benchmarks.kill_audit import Told
from tests.benchmarks.killed_engine import told

TYPES: Mapping[str, type[ViolationEvent | StreamEvent]] = {
    "streammon.violations": ViolationEvent,
    "streammon.streams": StreamEvent,
}
"""A topic → what lies in it."""

_QUIET_S = 2.0
_READ_S = 120.0


def consumed(bootstrap: str) -> list[Told]:
    """All that lies in the topics, until nothing more comes."""
    consumer, seen, until_s = Consumer(bootstrap, list(TYPES)), list[Told](), time.monotonic() + _READ_S
    try:
        while time.monotonic() < until_s:
            some = [_seen(message) for message in consumer.messages(_QUIET_S)]
            if seen and not some:
                break
            seen += some
    finally:
        consumer.close()
    return seen


def _seen(message: Received) -> Told:
    """Raises ValueError where it is no event of ours, or is called otherwise than what is in it."""
    sealed = Envelope.received(message.topic, message.key, message.headers, message.value or b"")
    event = msgspec.json.decode(sealed.value, type=TYPES[message.topic])
    if (sealed.event_id, sealed.key) != (event.event_id, event.room_id):
        raise ValueError(f"{sealed.event_id} of {sealed.key} is called otherwise than what is in it")
    return told(event, sealed.structured())
