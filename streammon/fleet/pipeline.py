"""The judge's thread: takes what the engine examined, judges and commits it, and lets time pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from queue import Empty, Full, Queue, SimpleQueue
from threading import Event as Flag
from threading import Thread
from typing import TypeVar

from streammon.detect.scheduling.request import Examined
from streammon.entities import Frame, Observation, Room
from streammon.errors import StreammonError
from streammon.events import Phase, ViolationEvent
from streammon.fleet.attention import Attention
from streammon.fleet.commit import Committer
from streammon.fleet.feedback import FeedbackCounts
from streammon.fleet.recording import Recorder
from streammon.fleet.rooms import OVER_STATES, Event, RoomBook
from streammon.fleet.tallies import count_examined
from streammon.fleet.texts import Said
from streammon.ingest.moves import FINAL
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import RoomChanged, RoomNews, RoomPicture
from streammon.judge.feedback import Feedback
from streammon.judge.policy import Policy
from streammon.judge.room import Now
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

Heard = TypeVar("Heard")

_IDLE_S = 0.2
_TICK_EVERY_S = 0.5
# Each is a commit of its own, some milliseconds: a flood of them must not keep frames waiting.
_FEEDBACK_A_ROUND = 20
_MAX_FEEDBACK = 1000
# Mostly no commit at all: what is written again and again is one incident.
_TEXTS_A_ROUND = 200
_MAX_TEXTS = 1000
# With so many frames examined and not judged the engine gets no more: they hold pictures.
_MAX_EXAMINED = 32
# A frame is judged in milliseconds; a thread that has not come round for this long is stuck.
_ALIVE_S = 30.0


class Pipeline:
    """Everything that changes what is judged happens on this one thread, in order. What it is told comes on any."""

    def __init__(
        self,
        mailbox: Mailbox,
        rooms: RoomBook,
        committer: Committer,
        metrics: Metrics,
        attention: Attention,
        recorder: Recorder | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._rooms = rooms
        self._committer = committer
        self._metrics = metrics
        self._attention = attention
        self._recorder = recorder
        self._counts = FeedbackCounts(metrics)
        self._feedback: Queue[Feedback] = Queue(_MAX_FEEDBACK)
        self._texts: Queue[Said] = Queue(_MAX_TEXTS)
        self._inbox: SimpleQueue[Examined | RoomNews | None] = SimpleQueue()
        self._unapplied: list[RoomNews] = []
        self._choose: Callable[[Room], Policy] | None = None
        self._disabled: tuple[str, ...] | None = None
        self._relieved: Callable[[], None] | None = None
        self._also: Callable[[Examined], None] | None = None
        self._stop = Flag()
        self._drained = Flag()
        self._alive_s = time.monotonic()
        self._tick_due_s = self._alive_s
        self._thread = Thread(target=self._run, name="judge", daemon=True)
        self.failure: StreammonError | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def post(self, news: RoomNews) -> None:
        """A room's connection changed state, or what its picture amounts to, or samples of it were lost."""
        self._inbox.put(news)

    def examined(self, examined: Examined) -> None:
        """The engine has done with a frame."""
        self._inbox.put(examined)

    @property
    def full(self) -> bool:
        """Whether so much that was examined waits to be judged that no more should be."""
        return self._inbox.qsize() >= _MAX_EXAMINED

    def on_relief(self, call: Callable[[], None]) -> None:
        """From now on `call` is called when it is not full any more."""
        self._relieved = call

    def on_judged(self, call: Callable[[Examined], None]) -> None:
        """From now on `call` gets each frame once it is judged, on the judge's thread: it must not wait."""
        self._also = call

    def set_disabled(self, detectors: tuple[str, ...]) -> None:
        """These detectors are switched off now, all others on."""
        self._disabled = detectors
        self._inbox.put(None)

    def set_policies(self, choose: Callable[[Room], Policy]) -> None:
        """The policies have changed: rooms are judged by what `choose` says from the next frame on."""
        self._choose = choose
        self._inbox.put(None)

    def hear(self, feedback: Feedback, timeout_s: float) -> bool:
        """Somebody says something of a room. False where so much waits already, or the end has begun."""
        return self._put(self._feedback, feedback, timeout_s)

    def read(self, said: Said, timeout_s: float) -> bool:
        """A viewer has written what comes to something. False as for `hear`."""
        return self._put(self._texts, said, timeout_s)

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
        self._inbox.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _put(self, queue: Queue[Heard], heard: Heard, timeout_s: float) -> bool:
        if self._stop.is_set():
            return False
        try:
            queue.put(heard, timeout=timeout_s)
        except Full:
            return False
        self._inbox.put(None)
        return True

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._round(_IDLE_S)
            while not self._inbox.empty():
                self._take(0.0)
            self._apply_news()  # a room that had ended by itself is told as that, not as stopped
            self._apply_feedback(_MAX_FEEDBACK)
            self._apply_texts(_MAX_TEXTS)
            self._commit(self._rooms.stop(_now()))
        except StreammonError as error:
            self.failure = error
            _log.error("the judge stops: %s", error)
        except Exception:  # noqa: BLE001 - the thread's top frame
            self.failure = StreammonError("the judge stopped by a fault of its own; the log says where")
            _log.exception("the judge stops")

    def _round(self, timeout_s: float) -> None:
        self._alive_s = time.monotonic()
        self._apply_news()
        self._apply_feedback(_FEEDBACK_A_ROUND)
        self._apply_texts(_TEXTS_A_ROUND)
        if (choose := self._choose) is not None:
            self._choose = None
            self._commit(self._rooms.set_policies(choose, _now()))
            for room_id in self._rooms.states():
                self._attention.policy_changed(room_id, self._rooms.policy(room_id))
        if (disabled := self._disabled) is not None:
            self._disabled = None
            self._commit(self._rooms.set_disabled(disabled, _now()))
        self._take(timeout_s)
        if time.monotonic() >= self._tick_due_s:
            self._tick_due_s = time.monotonic() + _TICK_EVERY_S
            self._commit(self._rooms.tick(_now()))
            self._attention.tick(time.monotonic())

    def _take(self, timeout_s: float) -> None:
        """Takes what comes next. A frame is judged at once, news are kept until it is their turn."""
        try:
            item = self._inbox.get(timeout=timeout_s) if timeout_s else self._inbox.get_nowait()
        except Empty:
            return
        if isinstance(item, Examined):
            self._judge(item)
            if self._relieved is not None and self._inbox.qsize() == _MAX_EXAMINED - 1:
                self._relieved()
        elif item is not None:
            self._unapplied.append(item)

    def _apply_news(self) -> None:
        """Applies what has come, each room's in order.

        What ends a stream waits until the last frames before it are judged, and what came after it waits with it.
        """
        held: set[str] = set()
        waiting, self._unapplied = self._unapplied, []
        for news in waiting:
            if news.room_id in held or self._must_wait(news):
                held.add(news.room_id)
                self._unapplied.append(news)
            else:
                self._apply(news)

    def _must_wait(self, news: RoomNews) -> bool:
        if not isinstance(news, RoomChanged) or news.state not in OVER_STATES:
            return False
        return self._mailbox.waiting_until(news.room_id, news.session)

    def _apply(self, news: RoomNews) -> None:
        if isinstance(news, RoomChanged):
            self._commit(self._rooms.change(news, _now()))
            if news.state in FINAL:
                self._attention.closed(news.room_id)
                if self._rooms.all_final():
                    self._drained.set()
        elif isinstance(news, RoomPicture):
            self._commit(self._rooms.picture(news))
        else:
            self._rooms.lost(news.room_id, news.samples)

    def _apply_feedback(self, most: int) -> None:
        for _ in range(most):
            try:
                feedback = self._feedback.get_nowait()
            except Empty:
                return
            self._commit(self._rooms.apply(feedback, _now()))

    def _apply_texts(self, most: int) -> None:
        for _ in range(most):
            try:
                said = self._texts.get_nowait()
            except Empty:
                return
            events, observation = self._rooms.written(said, _now())
            self._commit(events)
            room = self._rooms.room(said.room_id)
            if observation is not None and room is not None and self._recorder is not None:
                self._recorder.take(room, (observation,))

    def _judge(self, examined: Examined) -> None:
        frame, observations = examined.request.frame, examined.observations
        events = self._rooms.observe(observations, _now())
        barred = self._rooms.withholds(frame.room_id)
        self._commit(events, frame, observations, barred=barred)
        hit = self._rooms.doubtful(frame.room_id) or any(map(_begins, events))
        self._attention.judged(examined, time.monotonic(), busy=self._rooms.busy(frame.room_id), hit=hit)
        room = self._rooms.room(frame.room_id)
        if room is not None:
            count_examined(self._metrics, room, examined)
            if self._recorder is not None:
                self._recorder.take(room, observations)
        if self._also is not None:
            self._also(examined)
        self._metrics.frame_age_seconds.observe(time.monotonic() - frame.received_s)
        self._mailbox.done(frame)

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


def _begins(event: Event) -> bool:
    return isinstance(event, ViolationEvent) and event.phase is Phase.START


def _now() -> Now:
    return Now(monotonic_s=time.monotonic(), utc=datetime.now(UTC))
