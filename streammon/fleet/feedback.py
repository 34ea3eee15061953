"""Hears what people say of incidents on the topic `streammon.feedback`, on a thread of its own, and counts it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import Event as Flag
from threading import Thread

from streammon.backoff import Backoff
from streammon.bus import Consumer, Received, Security
from streammon.bus.topics import create_missing
from streammon.errors import StreammonError
from streammon.events import AuditEvent, FeedbackAction, StreamEvent
from streammon.fleet.rooms import Event
from streammon.judge.feedback import Feedback, decode_feedback
from streammon.judge.precision import PrecisionCounts, Tally
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

TOPIC = "streammon.feedback"

# As long as a mute may be, so that a restart forgets none that the topic still has.
_BACK_S = 30 * 86400.0
# What a new connection reads again, for timestamps that are not in order, and how much of it is known again.
_AGAIN_S = 60.0
_REMEMBERED = 10_000
_READ_S = 3600.0
_GIVE_S = 0.5
_STOP_WITHIN_S = 10.0


class FeedbackReader:
    """Hands feedback from the topic to `give`, which waits so many seconds at most and returns False where it is full.

    Every monitor reads the whole topic in no group, as any of its messages may be about any room. Of what came before
    this monitor began, it hears the mutes that still run, and nothing else: the incidents are over. `clock` gives UTC
    epoch seconds.
    """

    def __init__(
        self,
        connect: Callable[[float], Consumer],
        give: Callable[[Feedback, float], bool],
        metrics: Metrics,
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._connect = connect
        self._give = give
        self._refused = metrics.feedback_refused.labels("topic")
        self._backoff = backoff if backoff is not None else Backoff(cap_s=30.0)
        self._clock = clock
        self._began_s = clock()
        self._since_s = self._began_s - _BACK_S
        self._heard: dict[tuple[int, int, int], None] = {}
        self._failures = 0
        self._stop = Flag()
        self._thread = Thread(target=self._run, name="feedback", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def close(self) -> bool:
        """Stops it; False where it did not in time. May be called twice."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()

    def hear(self, message: Received) -> None:
        """Takes one message in. One that is no feedback is counted, and logged without its text."""
        place = (message.partition, message.offset, message.timestamp_ms)
        if place in self._heard:
            return
        self._heard[place] = None
        if len(self._heard) > _REMEMBERED:
            del self._heard[next(iter(self._heard))]
        self._since_s = max(self._since_s, min(message.timestamp_ms / 1000, self._clock()) - _AGAIN_S)
        try:
            feedback = decode_feedback(message.value or b"")
        except StreammonError:
            self._refused.inc()
            _log.warning("%s: no valid feedback: partition %d, offset %d", TOPIC, message.partition, message.offset)
            return
        if message.timestamp_ms / 1000 >= self._began_s or self._runs(feedback):
            while not self._give(feedback, _GIVE_S) and not self._stop.is_set():
                pass

    def _runs(self, feedback: Feedback) -> bool:
        mute = feedback.action is FeedbackAction.MUTE
        return mute and feedback.at.timestamp() + (feedback.seconds or 0.0) > self._clock()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except StreammonError as error:
                self._wait_out(str(error))
            except Exception as error:  # noqa: BLE001 - the thread's top frame
                _log.exception("%s: failed in a way nobody foresaw", TOPIC)
                self._wait_out(type(error).__name__)

    def _read(self) -> None:
        consumer = self._connect(self._since_s)
        try:
            if self._failures:
                _log.info("%s: read again", TOPIC)
            self._failures = 0
            for message in consumer.messages(_READ_S, stop=self._stop):
                self.hear(message)
        finally:
            consumer.close()

    def _wait_out(self, reason: str) -> None:
        self._failures += 1
        if self._failures == 1:
            _log.warning("%s: nobody is heard until it can be read: %s", TOPIC, reason)
        self._stop.wait(self._backoff.delay_s(self._failures))


class FeedbackCounts:
    """Keeps the metrics of feedback, and so of the precision online. Engine's thread."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counts = PrecisionCounts()
        self._told: dict[tuple[str, str], Tally] = {}

    def note(self, events: Iterable[Event]) -> None:
        """Takes in what was committed."""
        for event in events:
            if isinstance(event, StreamEvent):
                continue
            self._counts.note(event)
            if isinstance(event, AuditEvent):
                self._metrics.feedback.labels(event.action.value).inc()
                self._tell()

    def _tell(self) -> None:
        for key, tally in self._counts.tallies.items():
            told = self._told.get(key, Tally())
            self._metrics.judged_incidents.labels(*key).inc(tally.reviewed - told.reviewed)
            self._metrics.false_alarms.labels(*key).inc(tally.false_alarms - told.false_alarms)
            self._told[key] = replace(tally)


def topic_connector(bootstrap: str, client_id: str, security: Security) -> Callable[[float], Consumer]:
    """What connects a reader to the topic, from UTC epoch seconds on; makes the topic where it is missing."""

    def connect(since_s: float) -> Consumer:
        create_missing(bootstrap, client_id, security, [TOPIC])
        return Consumer(bootstrap, [TOPIC], client_id=client_id, security=security, since_s=since_s)

    return connect
