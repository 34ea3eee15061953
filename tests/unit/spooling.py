"""Events for tests of the spool, and what an outbox holds."""

from __future__ import annotations

from streammon.deliver.envelope import Envelope, Importance
from streammon.deliver.outbox import Outbox


def envelope(number: int, importance: Importance = Importance.KEPT, *, filler_bytes: int = 0) -> Envelope:
    """The event of that number."""
    return Envelope(
        event_id=f"incident:{number}",
        type="streammon.violation.v1",
        source="/streammon/w",
        subject="room",
        time="2025-03-04T05:06:07Z",
        dataschema="urn:streammon:schema:violation.v1",
        topic="streammon.violations",
        key="room",
        value=b'{"seq":%d,"filler":"%s"}' % (number, b"x" * filler_bytes),
        importance=importance,
    )


def numbers(outbox: Outbox, sink: str = "kafka") -> list[int]:
    """The numbers of the events that the sink has still to take."""
    return [int(taken.event_id.rpartition(":")[2]) for _, taken in outbox.pending(sink, 10_000)]
