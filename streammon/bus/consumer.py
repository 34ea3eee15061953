"""Reads topics in no group, leaving no trace at the broker."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from streammon.bus.connection import PLAIN, Security, connect, milliseconds, translated
from streammon.bus.message import Received
from streammon.errors import DeliveryError

POLL_S = 0.01
IDLE_S = 0.15


class Consumer:
    """Reads topics from their beginning. For one thread.

    With `since_s`, UTC epoch seconds, only what came from then on; then the topics must exist. Raises DeliveryError
    where the broker cannot be reached. Otherwise topics that do not exist yet are read once they do.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        *,
        client_id: str = "streammon",
        security: Security = PLAIN,
        since_s: float | None = None,
    ) -> None:
        self.bootstrap = bootstrap
        self._client = connect(
            KafkaConsumer,
            bootstrap,
            security,
            client_id=client_id,
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=1000,
        )
        self._polled: deque[Received] = deque()
        try:
            if since_s is None:
                self._client.subscribe(topics=list(topics))
            else:
                self._begin_at(topics, milliseconds(since_s))
        except BaseException:
            self.close()
            raise

    def messages(self, seconds: float, *, stop: threading.Event | None = None) -> Iterator[Received]:
        """Messages as they come, for so many seconds or until `stop` is set. In order within a partition only.

        A caller that stops reading in the middle gets the rest by the next call.
        """
        until_s = time.monotonic() + seconds
        idle = stop if stop is not None else threading.Event()
        while (left_s := until_s - time.monotonic()) > 0 and not idle.is_set():
            if not self._polled:
                self._poll(min(left_s, POLL_S))
            if not self._polled:
                # Not all brokers hold an empty fetch back as Kafka does; asking those again at once takes a whole core.
                idle.wait(min(left_s, IDLE_S))
            while self._polled:
                yield self._polled.popleft()

    def close(self) -> None:
        """Let go of the broker. May be called twice."""
        self._client.close(timeout_ms=1000)

    def _begin_at(self, topics: Sequence[str], since_ms: int) -> None:
        with translated(self.bootstrap):
            there = {topic: self._client.partitions_for_topic(topic) for topic in topics}
            missing = sorted(topic for topic, numbers in there.items() if not numbers)
            if missing:
                raise DeliveryError(f"kafka {self.bootstrap}: no topic {', '.join(missing)}: create it")
            partitions = [TopicPartition(topic, number) for topic, numbers in there.items() for number in numbers]
            self._client.assign(partitions)
            ends = self._client.end_offsets(partitions)
            firsts = self._client.offsets_for_times(dict.fromkeys(partitions, since_ms))
            for partition in partitions:
                first = firsts.get(partition)
                self._client.seek(partition, ends[partition] if first is None else first.offset)

    def _poll(self, timeout_s: float) -> None:
        with translated(self.bootstrap):
            polled = self._client.poll(timeout_ms=milliseconds(timeout_s))
        self._polled.extend(_received(record) for records in polled.values() for record in records)


def _received(record: Any) -> Received:
    return Received(
        topic=record.topic,
        key=record.key or b"",
        value=record.value,
        headers=tuple(record.headers),
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
    )
