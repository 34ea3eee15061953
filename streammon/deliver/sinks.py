"""The contract between a deliverer and a place that takes events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streammon.deliver.envelope import Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The sink can never take the first of the events it was given, and took none. `reason` is one phrase."""

    reason: str


class Sink(Protocol):
    """Somewhere events go. One deliverer's thread calls `send`, never two at a time, and `close` after the last.

    `name` is what the outbox remembers the sink's place by: it must stay the same over restarts.
    """

    @property
    def name(self) -> str: ...

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        """Take events in order; how many of the leading ones are now durable, at least 1.

        May take long, but not for ever. Events may come again after a failure, with the same ids. Raises DeliveryError
        where not even the first was taken, but may be another time.
        """
        ...

    def close(self) -> None:
        """Let go of everything. May be called twice."""
        ...
