"""Delivers the outbox's events to one sink, in order, at least once. One thread per sink."""

from __future__ import annotations

import logging

from streammon.backoff import Backoff
from streammon.deliver.dead_letters import DeadLetters
from streammon.deliver.envelope import Envelope
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import Moved, Pump, PumpStatus
from streammon.deliver.sinks import Refusal, Sink
from streammon.errors import DeliveryError

log = logging.getLogger(__name__)

BATCH = 200
REST_S = 0.02
"""How long a deliverer lets events gather once its sink has all there were: an event by itself goes at once, and under
load there are at most 50 batches a second. A batch costs a sink, such as Kafka's client, more than ten events do."""


class Deliverer:
    """Hands a sink, which it owns, its pending events in batches, and acknowledges what the sink has taken.

    The sink must be registered at the outbox. Nothing is given up: an event that the sink does not take is tried again
    until it does, and the ones behind it wait. Only what it can never take goes to `dead_letters`, which it owns too;
    without them, that waits as well.
    """

    def __init__(
        self, outbox: Outbox, sink: Sink, *, dead_letters: DeadLetters | None = None, backoff: Backoff | None = None
    ) -> None:
        self._outbox = outbox
        self._sink = sink
        self._dead_letters = dead_letters
        self._refused = 0
        backoff = backoff if backoff is not None else Backoff()
        self._pump = Pump(f"sink {sink.name}", self._deliver_batch, outbox, backoff, rest_s=REST_S)

    @property
    def name(self) -> str:
        """The sink's name."""
        return self._sink.name

    @property
    def status(self) -> PumpStatus:
        """Whether it is delivering, or waiting and why."""
        return self._pump.status

    @property
    def refused(self) -> int:
        """How many events the sink could never take: the dead letters of this run."""
        return self._refused

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
        if self._dead_letters is not None:
            self._dead_letters.close()
        return stopped

    def _deliver_batch(self) -> Moved:
        batch = self._outbox.pending(self._sink.name, BATCH)
        if not batch:
            return Moved.NOTHING
        taken = self._sink.send([envelope for _, envelope in batch])
        if isinstance(taken, Refusal):
            self._bury(batch[0][1], taken)
            taken = 1
        if taken < 1:
            raise DeliveryError(f"{self._sink.name}: took nothing and did not say why")
        self._outbox.acknowledge(self._sink.name, batch[taken - 1][0])
        return Moved.PART if taken < len(batch) or len(batch) == BATCH else Moved.ALL

    def _bury(self, envelope: Envelope, refusal: Refusal) -> None:
        if self._dead_letters is None:
            raise DeliveryError(f"{self._sink.name}: can never take {envelope.event_id}: {refusal.reason}")
        self._dead_letters.bury(envelope, refusal.reason, self._sink.name)
        self._refused += 1
        log.warning("sink %s: never takes %s (%s): a dead letter", self.name, envelope.event_id, refusal.reason)
