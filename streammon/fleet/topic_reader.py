"""Reads a topic that others write, through outages, on a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

from streammon.backoff import Backoff
from streammon.bus import Consumer, Received, Security
from streammon.bus.topics import create_missing
from streammon.errors import StreammonError

_log = logging.getLogger(__name__)

_READ_S = 3600.0
_STOP_WITHIN_S = 10.0


class TopicReader:
    """Hands each message to `take`, in the order of its partition, and again those since `since()` after an outage.

    `connect` is given UTC epoch seconds, and gives what reads the topic from then on. `stopping` is set when it is
    about to end: `take`, which may wait, looks at it.
    """

    def __init__(
        self,
        topic: str,
        connect: Callable[[float], Consumer],
        take: Callable[[Received], None],
        since: Callable[[], float],
        backoff: Backoff | None = None,
    ) -> None:
        self._topic = topic
        self._connect = connect
        self._take = take
        self._since = since
        self._backoff = backoff if backoff is not None else Backoff(cap_s=30.0)
        self._failures = 0
        self.stopping = Flag()
        self._thread = Thread(target=self._run, name=topic, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> bool:
        """Stops it; False where it did not in time. May be called twice."""
        self.stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._read()
            except StreammonError as error:
                self._wait_out(str(error))
            except Exception as error:  # noqa: BLE001 - the thread's top frame
                _log.exception("%s: failed in a way nobody foresaw", self._topic)
                self._wait_out(type(error).__name__)

    def _read(self) -> None:
        consumer = self._connect(self._since())
        try:
            if self._failures:
                _log.info("%s: read again", self._topic)
            self._failures = 0
            for message in consumer.messages(_READ_S, stop=self.stopping):
                self._take(message)
        finally:
            consumer.close()

    def _wait_out(self, reason: str) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("%s: nobody is heard until it can be read: %s", self._topic, reason)
        self.stopping.wait(self._backoff.delay_s(self._failures))


def topic_connector(topic: str, bootstrap: str, client_id: str, security: Security) -> Callable[[float], Consumer]:
    """What connects a reader to the topic, from UTC epoch seconds on; makes the topic where it is missing."""

    def connect(since_s: float) -> Consumer:
        create_missing(bootstrap, client_id, security, [topic])
        return Consumer(bootstrap, [topic], client_id=client_id, security=security, since_s=since_s)

    return connect
