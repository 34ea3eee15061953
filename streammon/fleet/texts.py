"""Holds what viewers write against the rooms' keyword lists, on a thread of its own: most of it means nothing.

What comes to something is handed to the judge, in each room in the order in which it came.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition, Thread

from streammon.backoff import Backoff
from streammon.bus import Consumer, Received
from streammon.entities import Detection
from streammon.errors import StreammonError
from streammon.fleet.topic_reader import TopicReader
from streammon.judge.policy import Policy
from streammon.judge.texts import SentText, decode_text, raises
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

TOPIC = "streammon.texts"

MAX_WAITING = 20_000
"""Lines that wait at most: some seconds' work."""
_GIVE_S = 0.5
_STOP_WITHIN_S = 10.0
# What a new connection reads again, as timestamps are not always in order; it is known by its offset.
_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A line that comes to something, and when it reached us: UTC, and by the monotonic clock."""

    room_id: str
    detections: Sequence[Detection]
    received_at: datetime
    received_s: float


class TextDesk:
    """Takes lines in, bounded. `policy` gives a room's, None where it is not ours; `give` waits so many seconds at
    most and returns False where the judge is full.
    """

    def __init__(
        self, policy: Callable[[str], Policy | None], give: Callable[[Said, float], bool], metrics: Metrics
    ) -> None:
        self._policy = policy
        self._give = give
        self._counts = {outcome: metrics.texts.labels(outcome) for outcome in ("nothing", "hit", "no_room")}
        self._waiting: deque[tuple[SentText, float]] = deque()
        self._changed = Condition()
        self._stopping = False
        self._thread = Thread(target=self._run, name="texts", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def take(self, texts: Sequence[SentText], timeout_s: float) -> bool:
        """All of them, or False where there is no room for all within so many seconds. Any thread."""
        now_s = time.monotonic()
        with self._changed:
            if not self._changed.wait_for(lambda: self._stopping or self._has_room(len(texts)), timeout_s):
                return False
            if self._stopping:
                return False
            self._waiting.extend((text, now_s) for text in texts)
            self._changed.notify_all()
        return True

    def close(self) -> bool:
        """Looks at what waits, and stops; False where it did not in time. May be called twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_STOP_WITHIN_S)
        return not self._thread.is_alive()

    def _has_room(self, lines: int) -> bool:
        return len(self._waiting) + lines <= MAX_WAITING

    def _run(self) -> None:
        try:
            while batch := self._next():
                for text, received_s in batch:
                    self._look(text, received_s)
        except Exception:  # noqa: BLE001 - the thread's top frame
            _log.exception("texts: nothing that viewers write is looked at any more")
            with self._changed:
                self._stopping = True

    def _next(self) -> list[tuple[SentText, float]]:
        """What waits; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or bool(self._waiting))
            batch = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        return batch

    def _look(self, text: SentText, received_s: float) -> None:
        policy = self._policy(text.room_id)
        if policy is None:
            self._counts["no_room"].inc()
            return
        detections = raises(text, policy)
        if not detections:
            self._counts["nothing"].inc()
            return
        self._counts["hit"].inc()
        at = datetime.now(UTC)
        said = Said(room_id=text.room_id, detections=detections, received_at=at, received_s=received_s)
        while not self._give(said, _GIVE_S) and not self._stopping:
            pass


class TextReader:
    """Hands the topic's lines to `take`: what is written from now on. Each once, whatever a new connection repeats."""

    def __init__(
        self,
        connect: Callable[[float], Consumer],
        take: Callable[[Sequence[SentText], float], bool],
        metrics: Metrics,
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives UTC epoch seconds."""
        self._take = take
        self._refused = metrics.texts.labels("refused")
        self._began_s = self._newest_s = clock()
        self._read: dict[int, tuple[int, int]] = {}
        self._reader = TopicReader(TOPIC, connect, self.hear, self._since_s, backoff)

    def start(self) -> None:
        """Starts the thread."""
        self._reader.start()

    def close(self) -> bool:
        """Stops it; False where it did not in time. May be called twice."""
        return self._reader.close()

    def hear(self, message: Received) -> None:
        """Takes one message in. One that is no text is counted, and logged without it."""
        at_ms, (offset, known_ms) = message.timestamp_ms, self._read.get(message.partition, (-1, 0))
        # A topic that was made anew begins again at offset 0, but later.
        if at_ms / 1000 < self._began_s or (message.offset <= offset and at_ms <= known_ms):
            return
        self._read[message.partition] = (message.offset, max(at_ms, known_ms))
        self._newest_s = max(self._newest_s, at_ms / 1000)
        try:
            text = decode_text(message.value or b"")
        except StreammonError:
            self._refused.inc()
            _log.warning("%s: no valid text: partition %d, offset %d", TOPIC, message.partition, message.offset)
            return
        while not self._take([text], _GIVE_S) and not self._reader.stopping.is_set():
            pass

    def _since_s(self) -> float:
        return max(self._began_s, self._newest_s - _AGAIN_S)
