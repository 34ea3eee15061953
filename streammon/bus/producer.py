"""Publishes messages in order and waits until the brokers have them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from kafka import KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)

from streammon.bus.connection import PLAIN, REQUEST_S, Security, connect, milliseconds
from streammon.bus.message import Message, Published, is_topic
from streammon.bus.topics import create_missing
from streammon.errors import DeliveryError

BATCH_BYTES = 1 << 20
"""Room for one batch of one partition. Twice `PUBLISH_BYTES`, so that what is published together is never split."""
PUBLISH_BYTES = 1 << 19
MESSAGE_BYTES = 1_000_000
"""A little less than what brokers take by default (`message.max.bytes`, 1 MiB with the framing)."""
LINGER_S = 1.0
"""How long messages may lie unsent; we flush long before that."""

_REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError, InvalidTopicError)
"""What brokers say of a message, not of their own state: it can never be taken as it is."""
_PACKAGES = {"lz4": "lz4", "zstd": "zstandard"}
"""A compression → the package that it needs."""


class Producer:
    """Publishes messages and waits until the broker has them. Connects when first used, and again after any failure.

    `bootstrap` is `host:port`, or several joined by commas. `timeout_s` (at least 2) bounds one `publish`.
    `compression` is `gzip`, `none`, or with another package `lz4` or `zstd`; without it, DeliveryError. Any thread may
    call; calls wait for each other.

    Order: all that one call publishes lies in the client's buffer until it is flushed, so each partition gets exactly
    one batch, which the broker takes as a whole or not at all. No later message can overtake a failed one.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "streammon",
        timeout_s: float = 10.0,
        security: Security = PLAIN,
        compression: str = "gzip",
        message_bytes: int = MESSAGE_BYTES,
    ) -> None:
        package = _PACKAGES.get(compression)
        if package is not None and find_spec(package) is None:
            raise DeliveryError(f"kafka {bootstrap}: compression {compression} needs a package: pip install {package}")
        self.bootstrap = bootstrap
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._security = security
        self._compression = None if compression == "none" else compression
        self._message_bytes = message_bytes
        self._lock = threading.Lock()
        self._client: Any = None

    def publish(self, messages: Sequence[Message]) -> Published:
        """Send in order, and say how many of the leading ones all in-sync replicas have.

        Raises DeliveryError where not even the first was taken, but may be another time. After anything short of all
        the client is built anew: a broker that came back without our last sequence number refuses the old one for ever.
        """
        with self._lock:
            until_s = time.monotonic() + self._timeout_s
            count = 0
            for chunk in _chunks(messages):
                done, failure = self._publish_chunk(chunk, until_s)
                if isinstance(failure, _REFUSALS) and len(chunk) > 1:
                    # A broker may refuse a whole batch for one message: which?
                    self._drop_client()
                    more, failure = self._publish_singly(chunk[done:], until_s)
                    done += more
                count += done
                if done < len(chunk):
                    return self._short(count, failure)
            return Published(count=count)

    def ensure_topics(self, names: Iterable[str]) -> None:
        """Create those topics that are missing, with the broker's default partitions and replication.

        Raises DeliveryError where the broker cannot be reached, or a topic is missing and may not be created.
        """
        create_missing(self.bootstrap, self._client_id, self._security, names)

    def close(self) -> None:
        """Let go of the broker. May be called twice; waits for a `publish` that is under way."""
        with self._lock:
            self._drop_client()

    def _short(self, count: int, failure: Exception | None) -> Published:
        self._drop_client()
        if isinstance(failure, _REFUSALS):
            return Published(count=count, refusal=f"{type(failure).__name__.removesuffix('Error')}")
        if count == 0 and isinstance(failure, DeliveryError):
            raise failure
        if count == 0:
            raise DeliveryError(f"kafka {self.bootstrap}: {failure}") from failure
        return Published(count=count)

    def _publish_chunk(self, chunk: Sequence[Message], until_s: float) -> tuple[int, Exception | None]:
        """How many leading messages were acknowledged, and why the next was not (None: all were)."""
        futures: list[Any] = []
        refusal: KafkaError | None = None
        try:
            client = self._connect()
            for topic in {message.topic for message in chunk if is_topic(message.topic)}:
                client.partitions_for(topic)  # fetched first, so that nothing lingers while a topic is looked up
            for message in chunk:
                try:
                    futures.append(_send(client, message))
                except _REFUSALS as error:
                    refusal = error
                    break
            _flush(client, futures, until_s)
        except (KafkaError, DeliveryError) as failure:
            return _leading(futures), failure
        failures = [future.exception for future in futures if not future.succeeded()]
        # Those in one batch with what is refused fail too, for no reason of their own.
        refusal = next((failure for failure in failures if isinstance(failure, _REFUSALS)), refusal)
        return _leading(futures), refusal if refusal is not None else next(iter(failures), None)

    def _publish_singly(self, messages: Sequence[Message], until_s: float) -> tuple[int, Exception | None]:
        """Like `_publish_chunk`, one after the other up to the first that fails, or until time is up."""
        for index, message in enumerate(messages):
            done, failure = self._publish_chunk([message], until_s)
            if done == 0 or time.monotonic() > until_s:
                return index + done, failure
        return len(messages), None

    def _connect(self) -> Any:
        if self._client is None:
            self._client = connect(
                KafkaProducer,
                self.bootstrap,
                self._security,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                compression_type=self._compression,
                metrics_enabled=False,
                batch_size=BATCH_BYTES,
                max_request_size=self._message_bytes,
                linger_ms=milliseconds(LINGER_S),
                max_block_ms=milliseconds(min(REQUEST_S, self._timeout_s)),
                delivery_timeout_ms=milliseconds(self._timeout_s),
                request_timeout_ms=milliseconds(self._timeout_s - LINGER_S),
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


def _send(client: Any, message: Message) -> Any:
    """The future of a message. Raises one of `_REFUSALS` where the client itself can tell."""
    if not is_topic(message.topic):
        raise InvalidTopicError(message.topic)
    return client.send(message.topic, value=message.value, key=message.key, headers=list(message.headers))


def _flush(client: Any, futures: Sequence[Any], until_s: float) -> None:
    """Wait until each future is decided. Raises KafkaError where time is up first.

    Where a topic takes only smaller batches, the client parts one and sends its halves; kafka-python 3.0.12's flush()
    then ends with UnknownError, though nothing failed, and must be called again for the halves.
    """
    while True:
        try:
            client.flush(max(1.0, until_s - time.monotonic()))
        except UnknownError:
            if time.monotonic() > until_s:
                raise
        else:
            return
        if all(future.is_done for future in futures):
            return


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
