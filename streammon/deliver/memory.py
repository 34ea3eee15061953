"""A sink that keeps events in memory: for tests, and for who embeds streammon. Any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from streammon.deliver.envelope import Envelope
from streammon.deliver.sinks import Refusal
from streammon.errors import DeliveryError


class MemorySink:
    """Keeps the last `capacity` events that it took, and can be made to refuse, as a broker that is down would."""

    def __init__(self, name: str = "memory", *, capacity: int = 10_000) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._taken: deque[Envelope] = deque(maxlen=capacity)
        self._refusal: str | None = None
        self._room = 0

    @property
    def taken(self) -> list[Envelope]:
        """What it holds, in the order in which it came, duplicates included."""
        with self._lock:
            return list(self._taken)

    def refuse(self, reason: str, *, after: int = 0) -> None:
        """Take only so many events more, then none, until `accept`."""
        with self._lock:
            self._refusal, self._room = reason, after

    def accept(self) -> None:
        """Take everything again."""
        with self._lock:
            self._refusal = None

    def send(self, envelopes: Sequence[Envelope]) -> int | Refusal:
        """Take what may be taken; see `Sink.send`."""
        with self._lock:
            count = len(envelopes) if self._refusal is None else min(self._room, len(envelopes))
            if count == 0:
                raise DeliveryError(f"{self.name}: {self._refusal}")
            self._room -= count
            self._taken.extend(envelopes[:count])
            return count

    def close(self) -> None:
        """Nothing to let go of."""
