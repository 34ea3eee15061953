"""Delivers the outbox's events to one sink, in order, at least once. One thread per sink."""

from __future__ import annotations

from streammon.backoff import Backoff
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import Pump, PumpStatus
from streammon.deliver.sinks import Sink
from streammon.errors import DeliveryError

BATCH = 200


class Deliverer:
    """Hands a sink, which it owns, its pending events in batches, and acknowledges what the sink has taken.

    The sink must be registered at the outbox. Nothing is given up: an event that the sink refuses is tried again
    until it is taken, and the ones behind it wait.
    """

    def __init__(self, outbox: Outbox, sink: Sink, *, backoff: Backoff | None = None) -> None:
        self._outbox = outbox
        self._sink = sink
        backoff = backoff if backoff is not None else Backoff()
        self._pump = Pump(f"sink {sink.name}", self._deliver_batch, outbox, backoff)

    @property
    def name(self) -> str:
        """The sink's name."""
        return self._sink.name

    @property
    def status(self) -> PumpStatus:
        """Whether it is delivering, or waiting and why."""
        return self._pump.status

    def start(self) -> None:
        """Start the thread. Once."""
        self._pump.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the sink has all that is committed by now; False where time is up first. Ends a back-off."""
        self._pump.hurry()
        return self._outbox.wait_delivered(self._sink.name, timeout_s)

    def close(self) -> bool:
        """Stop the thread, then the sink; False where the thread did not stop in time. May be called twice."""
        stopped = self._pump.close()
        self._sink.close()
        return stopped

    def _deliver_batch(self) -> bool:
        batch = self._outbox.pending(self._sink.name, BATCH)
        if not batch:
            return False
        taken = self._sink.send([envelope for _, envelope in batch])
        if taken < 1:
            raise DeliveryError(f"{self._sink.name}: took nothing and did not say why")
        self._outbox.acknowledge(self._sink.name, batch[taken - 1][0])
        return True
