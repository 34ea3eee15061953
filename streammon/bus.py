"""The only importer of kafka: a producer that waits for its acks, the topics it needs, and a consumer without a group.

Nothing here starts a thread of its own; kafka-python's network threads live inside a `Producer` or `Consumer`.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.cluster import collect_hosts
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient

from streammon.errors import DeliveryError

log = logging.getLogger(__name__)

BATCH_BYTES = 1 << 20
"""Room for one batch of one partition. Twice `PUBLISH_BYTES`, so that what is published together is never split."""
PUBLISH_BYTES = 1 << 19
LINGER_S = 1.0
"""How long messages may lie unsent; we flush long before that."""
CONNECT_S = 3.0
POLL_S = 0.01
IDLE_S = 0.15
REQUEST_S = 5.0


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


class Producer:
    """Publishes messages and waits until the broker has them. Connects when first used, and again after any failure.

    `bootstrap` is `host:port`, or several joined by commas. `timeout_s` (at least 2) bounds one `publish`. Any thread
    may call; calls wait for each other.

    Order: all that one call publishes lies in the client's buffer until it is flushed, so each partition gets exactly
    one batch, which the broker takes as a whole or not at all. No later message can overtake a failed one.
    """

    def __init__(self, bootstrap: str, *, client_id: str = "streammon", timeout_s: float = 10.0) -> None:
        self.bootstrap = bootstrap
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._client: Any = None
        _quiet()

    def publish(self, messages: Sequence[Message]) -> int:
        """Send in order; how many of the leading messages the broker acknowledged (all in-sync replicas), at least 1.

        Raises DeliveryError where not even the first was taken. After anything short of all the client is built anew:
        a broker that came back without our last sequence number refuses the old one for ever.
        """
        with self._lock:
            until_s = time.monotonic() + self._timeout_s
            taken = 0
            for chunk in _chunks(messages):
                done, failure = self._publish_chunk(chunk, until_s)
                taken += done
                if failure is not None:
                    self._drop_client()
                    if taken == 0:
                        raise failure
                    break
            return taken

    def ensure_topics(self, names: Iterable[str]) -> None:
        """Create those topics that are missing, with the broker's default partitions and replication.

        Raises DeliveryError where the broker cannot be reached, or a topic is missing and may not be created.
        """
        with _admin(self.bootstrap, self._client_id) as admin:
            for name in sorted(set(names) - set(admin.list_topics())):
                try:
                    admin.create_topics([name], timeout_ms=_ms(CONNECT_S))
                except TopicAlreadyExistsError:
                    continue
                except KafkaError as error:
                    reason = f"topic {name} is missing and cannot be created ({type(error).__name__}): create it"
                    raise DeliveryError(f"kafka {self.bootstrap}: {reason}") from error

    def close(self) -> None:
        """Let go of the broker. May be called twice; waits for a `publish` that is under way."""
        with self._lock:
            self._drop_client()

    def _publish_chunk(self, chunk: Sequence[Message], until_s: float) -> tuple[int, DeliveryError | None]:
        """How many leading messages were acknowledged, and why the next was not (None: all were)."""
        futures: list[Any] = []
        try:
            with _translated(self.bootstrap):
                client = self._connect()
                for topic in {message.topic for message in chunk}:
                    client.partitions_for(topic)  # fetched first, so that nothing lingers while a topic is looked up
                for message in chunk:
                    options = {"value": message.value, "key": message.key, "headers": list(message.headers)}
                    futures.append(client.send(message.topic, **options))
                client.flush(max(1.0, until_s - time.monotonic()))
                done = _leading(futures)
                if done < len(chunk):
                    raise futures[done].exception
        except DeliveryError as failure:
            return _leading(futures), failure
        return done, None

    def _connect(self) -> Any:
        if self._client is None:
            self._client = _open(
                KafkaProducer,
                self.bootstrap,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                compression_type="gzip",
                batch_size=BATCH_BYTES,
                linger_ms=_ms(LINGER_S),
                max_block_ms=_ms(min(REQUEST_S, self._timeout_s)),
                delivery_timeout_ms=_ms(self._timeout_s),
                request_timeout_ms=_ms(self._timeout_s - LINGER_S),
            )
        return self._client

    def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            client.close(timeout=1)
        except KafkaError:
            # close() flushes first and gives up, still running, where batches are under way: those must fail now, or
            # they could arrive after the next client's.
            client._sender.force_close()  # noqa: SLF001
            client._sender.join(timeout=1)  # noqa: SLF001


class Consumer:
    """Reads topics from their beginning, in no group and leaving no trace at the broker. For one thread.

    Raises DeliveryError where the broker cannot be reached. Topics that do not exist yet are read once they do.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str], *, client_id: str = "streammon") -> None:
        self.bootstrap = bootstrap
        _quiet()
        self._client = _open(
            KafkaConsumer,
            bootstrap,
            client_id=client_id,
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metadata_max_age_ms=1000,
        )
        self._client.subscribe(topics=list(topics))
        self._polled: deque[Received] = deque()

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

    def _poll(self, timeout_s: float) -> None:
        with _translated(self.bootstrap):
            polled = self._client.poll(timeout_ms=_ms(timeout_s))
        self._polled.extend(
            Received(
                topic=record.topic,
                key=record.key or b"",
                value=record.value,
                headers=tuple(record.headers),
                partition=record.partition,
                offset=record.offset,
                timestamp_ms=record.timestamp,
            )
            for records in polled.values()
            for record in records
        )

    def close(self) -> None:
        """Let go of the broker. May be called twice."""
        self._client.close(timeout_ms=1000)


def _ms(seconds: float) -> int:
    """Milliseconds, whole: some go into the protocol as they are."""
    return round(seconds * 1000)


def _quiet() -> None:
    """Keep kafka-python's own log shut unless somebody set its level.

    It logs every attempt to reach a broker, and at debug the messages themselves; what matters of it is in the
    DeliveryErrors.
    """
    logger = logging.getLogger("kafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def _open(client_class: Callable[..., Any], bootstrap: str, **options: Any) -> Any:
    """A connected client of one of kafka-python's classes. Raises DeliveryError."""
    _knock(bootstrap)
    networks: list[Any] = []

    def network(**kwargs: Any) -> Any:
        networks.append(KafkaNetClient(**kwargs))  # type: ignore[no-untyped-call]
        return networks[-1]

    options |= {"kafka_client": network, "bootstrap_timeout_ms": _ms(CONNECT_S), "reconnect_backoff_max_ms": 1000}
    try:
        with _translated(bootstrap):
            return client_class(bootstrap_servers=bootstrap, **options)
    except DeliveryError:
        for opened in networks:  # a client that fails in its constructor leaves its sockets and thread behind
            opened.close()
        raise


@contextmanager
def _admin(bootstrap: str, client_id: str) -> Iterator[Any]:
    client = _open(KafkaAdminClient, bootstrap, client_id=client_id, request_timeout_ms=_ms(REQUEST_S))
    try:
        with _translated(bootstrap):
            yield client
    finally:
        client.close()


@contextmanager
def _translated(bootstrap: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise DeliveryError(f"kafka {bootstrap}: {error}") from error


def _knock(bootstrap: str) -> None:
    """Try a plain TCP connection to any of the brokers: fails at once where kafka-python would try until its time-out.

    Raises DeliveryError with the reason of the last one tried.
    """
    reason: OSError | None = None
    for host, port, _family in collect_hosts(bootstrap):  # type: ignore[no-untyped-call]
        try:
            socket.create_connection((host, port), timeout=CONNECT_S).close()
        except OSError as error:
            reason = error
        else:
            return
    raise DeliveryError(f"kafka {bootstrap}: {reason}") from reason


def _chunks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Runs of messages that fit one batch; one that is larger than that goes alone."""
    start, size_bytes = 0, 0
    for index, message in enumerate(messages):
        if index > start and size_bytes + message.size_bytes > PUBLISH_BYTES:
            yield messages[start:index]
            start, size_bytes = index, 0
        size_bytes += message.size_bytes
    if start < len(messages):
        yield messages[start:]


def _leading(futures: Sequence[Any]) -> int:
    return next((index for index, future in enumerate(futures) if not future.succeeded()), len(futures))
