"""Hears what people say of incidents on the topic `streammon.feedback`, and counts it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from streammon.backoff import Backoff
from streammon.bus import Consumer, Received
from streammon.errors import StreammonError
from streammon.events import AuditEvent, FeedbackAction, StreamEvent
from streammon.fleet.rooms import Event
from streammon.fleet.topic_reader import TopicReader
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
_GIVE_S = 0.5


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
        self._give = give
        self._refused = metrics.feedback_refused.labels("topic")
        self._clock = clock
        self._began_s = clock()
        self._since_s = self._began_s - _BACK_S
        self._heard: dict[tuple[int, int, int], None] = {}
        self._reader = TopicReader(TOPIC, connect, self.hear, lambda: self._since_s, backoff)

    def start(self) -> None:
        """Starts the thread."""
        self._reader.start()

    def close(self) -> bool:
        """Stops it; False where it did not in time. May be called twice."""
        return self._reader.close()

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
            while not self._give(feedback, _GIVE_S) and not self._reader.stopping.is_set():
                pass

    def _runs(self, feedback: Feedback) -> bool:
        mute = feedback.action is FeedbackAction.MUTE
        return mute and feedback.at.timestamp() + (feedback.seconds or 0.0) > self._clock()


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
