"""What goes to and comes from topics. Pure data, any thread."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What goes to a topic. `value` None is a tombstone, which deletes the key from a compacted topic."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size_bytes(self) -> int:
        """Bytes before compression, without the protocol's few bytes for framing."""
        return len(self.key) + len(self.value or b"") + sum(len(name) + len(value) for name, value in self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Message):
    """What came from a topic, and where it lies there. `timestamp_ms` is the broker's or producer's UTC epoch time."""

    partition: int
    offset: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """How many of the leading messages the brokers have, and why they can never take the next one.

    `refusal` is None where that may well be taken another time, or all were.
    """

    count: int
    refusal: str | None = None


def is_topic(name: str) -> bool:
    """Whether brokers can have a topic of that name (Apache Kafka, `Topic.validate`)."""
    return _TOPIC.fullmatch(name) is not None and name not in {".", ".."}
