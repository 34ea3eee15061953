"""The engine's thread: takes frames, has them examined and judged, commits what comes of it, and lets time pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from queue import Empty, Full, Queue, SimpleQueue
from threading import Event as Flag
from threading import Thread

from streammon.detect.engine import Engine
from streammon.entities import Frame, Observation, Outcome, Room
from streammon.errors import StreammonError
from streammon.fleet.commit import Committer
from streammon.fleet.feedback import FeedbackCounts
from streammon.fleet.recording import Recorder
from streammon.fleet.rooms import OVER_STATES, Event, RoomBook
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import RoomChanged, RoomNews
from streammon.judge.feedback import Feedback
from streammon.judge.policy import Policy
from streammon.judge.room import Now
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

_IDLE_S = 0.2
_TICK_EVERY_S = 0.5
# Each is a commit of its own, some milliseconds: a flood of them must not keep frames waiting.
_FEEDBACK_A_ROUND = 20
_MAX_FEEDBACK = 1000
# A frame is examined in well under a second; a thread that has not come round for this long is stuck.
_ALIVE_S = 30.0


class Pipeline:
    """Everything that changes what is judged happens on this one thread, in order."""

    def __init__(
        self,
        mailbox: Mailbox,
        engine: Engine,
        rooms: RoomBook,
        committer: Committer,
        metrics: Metrics,
        recorder: Recorder | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._rooms = rooms
        self._committer = committer
        self._metrics = metrics
        self._recorder = recorder
        self._counts = FeedbackCounts(metrics)
        self._feedback: Queue[Feedback] = Queue(_MAX_FEEDBACK)
        self._news: SimpleQueue[RoomNews] = SimpleQueue()
        self._unapplied: list[RoomNews] = []
        self._choose: Callable[[Room], Policy] | None = None
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

    def set_policies(self, choose: Callable[[Room], Policy]) -> None:
        """The policies have changed: rooms are judged by what `choose` says from the next frame on. Any thread."""
        self._choose = choose

    def hear(self, feedback: Feedback, timeout_s: float) -> bool:
        """Somebody says something of a room. False where so much waits already, or the end has begun. Any thread."""
        if self._stop.is_set():
            return False
        try:
            self._feedback.put(feedback, timeout=timeout_s)
        except Full:
            return False
        return True

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
            self._apply_feedback(_MAX_FEEDBACK)
            self._commit(self._rooms.stop(_now()))
        except StreammonError as error:
            self.failure = error
            _log.error("the engine stops: %s", error)
        except Exception:  # noqa: BLE001 - the thread's top frame
            self.failure = StreammonError("the engine stopped by a fault of its own; the log says where")
            _log.exception("the engine stops")

    def _round(self, timeout_s: float) -> None:
        self._alive_s = time.monotonic()
        self._apply_news()
        self._apply_feedback(_FEEDBACK_A_ROUND)
        if (choose := self._choose) is not None:
            self._choose = None
            self._commit(self._rooms.set_policies(choose, _now()))
        frame = self._mailbox.take(timeout_s)
        if frame is not None:
            self._judge(frame)
        if time.monotonic() >= self._tick_due_s:
            self._tick_due_s = time.monotonic() + _TICK_EVERY_S
            self._commit(self._rooms.tick(_now()))
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
            self._commit(events)
            if over and self._rooms.all_final():
                self._drained.set()

    def _apply_feedback(self, most: int) -> None:
        for _ in range(most):
            try:
                feedback = self._feedback.get_nowait()
            except Empty:
                return
            self._commit(self._rooms.apply(feedback, _now()))

    def _take_news(self) -> None:
        while True:
            try:
                self._unapplied.append(self._news.get_nowait())
            except Empty:
                return

    def _judge(self, frame: Frame) -> None:
        observations = self._engine.examine(frame)
        events = self._rooms.observe(observations, _now())
        barred = self._rooms.withholds(frame.room_id)
        self._commit(events, frame, observations, barred=barred)
        if self._recorder is not None and (room := self._rooms.room(frame.room_id)) is not None:
            self._recorder.take(room, observations)
        for observation in observations:
            fresh = observation.outcome is Outcome.EXAMINED
            counter = self._metrics.analysed if fresh else self._metrics.detector_errors
            counter.labels(observation.detector).inc()
        self._metrics.frame_age_seconds.observe(time.monotonic() - frame.received_s)

    def _commit(
        self,
        events: Sequence[Event],
        frame: Frame | None = None,
        seen: Sequence[Observation] = (),
        *,
        barred: bool = False,
    ) -> None:
        self._committer.commit(events, frame, self._stop, seen, barred=barred)
        self._counts.note(events)

    def _judge_remaining(self) -> None:
        while (frame := self._mailbox.take(0.0)) is not None:
            self._judge(frame)


def _now() -> Now:
    return Now(monotonic_s=time.monotonic(), utc=datetime.now(UTC))
