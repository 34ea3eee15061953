"""The engine's thread: takes frames, has them examined and judged, commits what comes of it, and lets time pass."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread

from streammon.detect.engine import Engine
from streammon.entities import Frame, Outcome
from streammon.errors import StreammonError
from streammon.fleet.commit import Committer
from streammon.fleet.rooms import OVER_STATES, RoomBook
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import RoomChanged, RoomPicture
from streammon.judge.room import Now
from streammon.metrics import Metrics

RoomNews = RoomChanged | RoomPicture

_log = logging.getLogger(__name__)

_IDLE_S = 0.2
_TICK_EVERY_S = 0.5
# A frame is examined in well under a second; a thread that has not come round for this long is stuck.
_ALIVE_S = 30.0


class Pipeline:
    """Everything that changes what is judged happens on this one thread, in order."""

    def __init__(
        self, mailbox: Mailbox, engine: Engine, rooms: RoomBook, committer: Committer, metrics: Metrics
    ) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._rooms = rooms
        self._committer = committer
        self._metrics = metrics
        self._news: SimpleQueue[RoomNews] = SimpleQueue()
        self._unapplied: list[RoomNews] = []
        self._stop = Flag()
        self._drained = Flag()
        self._alive_s = time.monotonic()
        self._tick_due_s = self._alive_s
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self.failure: StreammonError | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def post(self, news: RoomNews) -> None:
        """A room's connection changed state, or what its picture amounts to. Any thread."""
        self._news.put(news)

    @property
    def drained(self) -> bool:
        """Whether every room has ended, its last frames judged and its incidents closed."""
        return self._drained.is_set()

    @property
    def alive(self) -> bool:
        """Whether the thread goes round, or waits for the spool: ending it then would lose what it waits to commit."""
        in_time = time.monotonic() - self._alive_s < _ALIVE_S
        return self._thread.is_alive() and (in_time or self._committer.blocked_by is not None)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Judges what waits, ends every incident, commits, and ends the thread. False where it did not in time."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._round(_IDLE_S)
            self._judge_remaining()
            self._apply_news()  # a room that had ended by itself is told as that, not as stopped
            self._committer.commit(self._rooms.stop(_now()), None, self._stop)
        except StreammonError as error:
            self.failure = error
            _log.error("the engine stops: %s", error)
        except Exception:  # noqa: BLE001 - the thread's top frame
            self.failure = StreammonError("the engine stopped by a fault of its own; the log says where")
            _log.exception("the engine stops")

    def _round(self, timeout_s: float) -> None:
        self._alive_s = time.monotonic()
        self._apply_news()
        frame = self._mailbox.take(timeout_s)
        if frame is not None:
            self._judge(frame)
        if time.monotonic() >= self._tick_due_s:
            self._tick_due_s = time.monotonic() + _TICK_EVERY_S
            self._committer.commit(self._rooms.tick(_now()), None, self._stop)
        self._metrics.mailbox_frames.set(self._mailbox.waiting())

    def _apply_news(self) -> None:
        """Applies what has come, each room's in order.

        What ends a stream waits until the last frames before it are judged, and what came after it waits with it.
        """
        self._take_news()
        held: set[str] = set()
        for news in list(self._unapplied):
            over = isinstance(news, RoomChanged) and news.state in OVER_STATES
            if news.room_id in held or (over and self._mailbox.waiting_until(news.room_id, news.session)):
                held.add(news.room_id)
                continue
            self._unapplied.remove(news)
            events = self._rooms.change(news, _now()) if isinstance(news, RoomChanged) else self._rooms.picture(news)
            self._committer.commit(events, None, self._stop)
            if over and self._rooms.all_final():
                self._drained.set()

    def _take_news(self) -> None:
        while True:
            try:
                self._unapplied.append(self._news.get_nowait())
            except Empty:
                return

    def _judge(self, frame: Frame) -> None:
        observations = self._engine.examine(frame)
        self._committer.commit(self._rooms.observe(observations, _now()), frame, self._stop)
        for observation in observations:
            fresh = observation.outcome is Outcome.EXAMINED
            counter = self._metrics.analysed if fresh else self._metrics.detector_errors
            counter.labels(observation.detector).inc()
        self._metrics.frame_age_seconds.observe(time.monotonic() - frame.received_s)

    def _judge_remaining(self) -> None:
        while (frame := self._mailbox.take(0.0)) is not None:
            self._judge(frame)


def _now() -> Now:
    return Now(monotonic_s=time.monotonic(), utc=datetime.now(UTC))
