"""Has every room pulled by an ingest process, whatever becomes of the processes.

A process that crashes makes its rooms suspects, which are tried each in a process of its own; one with too many hung
threads is replaced, and its rooms go over while they are still pulled. All of it happens on one thread, in order.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread

from streammon.entities import Room, RoomState
from streammon.errors import IngestCrashed
from streammon.fleet.places import Place, Places
from streammon.fleet.pool import IngestPool
from streammon.fleet.suspicion import Suspicion
from streammon.ingest.config import IngestConfig
from streammon.ingest.moves import FINAL
from streammon.ingest.rooms.handle import IngestHandle, IngestLoss
from streammon.ingest.rooms.mailbox import Mailbox
from streammon.ingest.rooms.wire import IngestStats, RoomChanged, RoomNews, RoomPicture, RoomStats, SamplesLost
from streammon.metrics import Metrics

_log = logging.getLogger(__name__)

_POLL_S = 0.2
# A stream that crashes FFmpeg does so with its first pictures.
_PROBATION_S = 5.0
# How many suspects are tried at a time: each has a process of its own, so it is still plain which one it was.
_TRIALS = 8
# A room that hangs wherever it is pulled must not have all others moved about without end.
_RECYCLE_EVERY_S = 30.0
_CLOSE_WITHIN_S = 15.0


class IngestSupervisor:
    """The rooms of one engine. Its methods may be called from any thread; the callbacks come on its own."""

    def __init__(
        self,
        config: IngestConfig,
        mailbox: Mailbox,
        metrics: Metrics,
        on_news: Callable[[RoomNews], None],
        on_fatal: Callable[[IngestCrashed], None],
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._on_news = on_news
        self._on_fatal = on_fatal
        self._pool = IngestPool(config, mailbox, self)
        metrics.given_up_threads.set_function(self._pool.given_up)
        self._places = Places(self._pool, config.open_timeout, self._on_change)
        self._trials: deque[str] = deque()
        self._suspicion = Suspicion()
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._recycle_from_s = 0.0
        self._closed = False
        self._thread = Thread(target=self._run, name="ingest-supervisor", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def add(self, room: Room) -> None:
        """Has a room pulled. One that is already there stays as it is."""
        self._inbox.put(partial(self._add, room))

    def remove(self, room_id: str) -> None:
        """Stops pulling a room; `stopped` is told when that is done."""
        self._inbox.put(partial(self._remove, room_id))

    def set_interval(self, room_id: str, interval_s: float) -> None:
        """Has a room sampled every `interval_s` seconds from now on, also where another process pulls it later."""
        self._inbox.put(partial(self._places.set_interval, room_id, interval_s))

    @property
    def alive(self) -> bool:
        """Whether somebody looks after the processes."""
        return self._thread.is_alive()

    @property
    def pids(self) -> tuple[int, ...]:
        """The ingest processes."""
        return self._pool.pids

    def close(self) -> None:
        """Ends all processes. May be called twice."""
        self._closed = True
        self._inbox.put(lambda: None)
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_WITHIN_S)
        self._pool.close()

    # What a process's reader thread calls; see `IngestListener`.

    def room_changed(self, handle: IngestHandle, change: RoomChanged) -> None:
        """See IngestListener."""
        self._inbox.put(partial(self._changed, handle, change))

    def room_picture(self, handle: IngestHandle, picture: RoomPicture) -> None:
        """See IngestListener."""
        self._inbox.put(partial(self._pictured, handle, picture))

    def room_stats(self, stats: RoomStats) -> None:
        """See IngestListener."""
        counted = (
            (self._metrics.packets, stats.packets),
            (self._metrics.packet_bytes, stats.packet_bytes),
            (self._metrics.decoded, stats.decoded),
            (self._metrics.decode_errors, stats.decode_errors),
            (self._metrics.sampled, stats.sampled),
        )
        for counter, count in counted:
            counter.labels(stats.room_id).inc(count)
        self._metrics.dropped.labels(stats.room_id, "mailbox_full").inc(stats.dropped)
        if stats.dropped:
            self._on_news(SamplesLost(room_id=stats.room_id, samples=stats.dropped))
        tenant = self._places.tenant(stats.room_id)
        self._metrics.room_cpu_seconds.labels(stats.room_id, tenant, "ingest").inc(stats.cpu_s)
        self._metrics.room_pulled_bytes.labels(stats.room_id, tenant).inc(stats.pulled_bytes)
        if stats.lag_s is not None:
            self._metrics.live_lag_seconds.labels(stats.room_id).set(stats.lag_s)

    def ingest_stats(self, handle: IngestHandle, stats: IngestStats) -> None:
        """See IngestListener."""
        self._inbox.put(partial(self._health, handle, stats))

    def ingest_gone(self, handle: IngestHandle, loss: IngestLoss) -> None:
        """See IngestListener."""
        self._inbox.put(partial(self._gone, handle, loss))

    # The supervisor's thread.

    def _on_change(self, change: RoomChanged) -> None:
        if change.state in FINAL:
            self._suspicion.forget(change.room_id)
        self._on_news(change)

    def _run(self) -> None:
        try:
            while not self._closed:
                with suppress(Empty):
                    self._inbox.get(timeout=_POLL_S)()
                self._tick(time.monotonic())
        except OSError as error:
            self._on_fatal(IngestCrashed(f"an ingest process cannot be started: {error.strerror}"))
        except Exception:  # noqa: BLE001 - the thread's top frame
            _log.exception("the supervisor of the ingest processes stops")
            self._on_fatal(IngestCrashed("the rooms' supervisor stopped by a fault of its own; the log says where"))

    def _add(self, room: Room) -> None:
        place = self._places.rooms.get(room.room_id)
        if place is None:
            self._places.add(room)
        elif place.leaving:
            place.again = room

    def _remove(self, room_id: str) -> None:
        place = self._places.rooms.get(room_id)
        if place is None:
            return
        place.again = None
        if place.leaving:
            return
        place.leaving = True
        if place.handle is None:
            self._places.tell(place, RoomState.STOPPED)
            return
        self._places.cancel_move(place)
        place.handle.remove_room(room_id)

    def _changed(self, handle: IngestHandle, change: RoomChanged) -> None:
        if change.state in FINAL:
            self._pool.left(handle, change.room_id)
        place = self._places.rooms.get(change.room_id)
        if place is None or handle not in {place.handle, place.next}:
            return
        if handle is place.next:
            if change.state is not RoomState.STREAMING and change.state not in FINAL:
                return  # it is still pulled by its old process
            self._places.finish_move(place)
        place.session = max(place.session, change.session)
        if change.state in FINAL:
            self._places.cancel_move(place)
        if change.state is not RoomState.CONNECTING and place.trial_until_s is not None:
            place.trial_until_s = min(place.trial_until_s, time.monotonic() + _PROBATION_S)
        if not (change.state is place.state is RoomState.CONNECTING):  # a move's end has told it
            self._places.forward(place, change)
        if place.next is not None and change.state is not RoomState.STREAMING:
            self._places.finish_move(place)  # there is nothing left to hold on to

    def _pictured(self, handle: IngestHandle, picture: RoomPicture) -> None:
        place = self._places.rooms.get(picture.room_id)
        if place is not None and handle is place.handle:
            self._on_news(picture)

    def _gone(self, handle: IngestHandle, loss: IngestLoss) -> None:
        self._pool.lost(handle)
        self._metrics.ingest_restarts.inc()
        hit = [place for place in self._places.rooms.values() if handle in {place.handle, place.next}]
        for place in hit:
            if place.next is handle:
                place.next = None
                if place.room.room_id != loss.room_id:
                    self._places.begin_move(place)
            if place.room.room_id == loss.room_id:
                self._places.take_out(place)  # it goes nowhere but into a trial
        lost = {place.room.room_id: place for place in hit if place.handle in {handle, None}}
        for place in lost.values():
            place.handle = place.trial_until_s = None
            if place.leaving:
                self._places.tell(place, RoomState.STOPPED)
            else:
                self._places.tell(
                    place, RoomState.BACKING_OFF, "ingest_lost", f"the process that pulled it died ({loss.cause})"
                )
            if place.next is not None:
                self._places.finish_move(place)
        waiting = [room_id for room_id, place in lost.items() if room_id in self._places.rooms and place.handle is None]
        self._share_out(waiting, loss)

    def _share_out(self, rooms: list[str], loss: IngestLoss) -> None:
        now_s = time.monotonic()
        if loss.cause == "SIGTERM":
            blame = self._suspicion.stopped_from_outside(rooms, now_s)
        else:
            blame = self._suspicion.crashed(rooms, loss.room_id, now_s)
        if not blame.within_budget:
            self._on_fatal(
                IngestCrashed(f"ingest processes died more than {self._suspicion.budget}; the log says of what")
            )
            return
        if blame.offender is not None:
            self._quarantine(self._places.rooms[blame.offender], now_s)
        self._trials += blame.suspects
        for room_id in blame.cleared:
            self._places.share(self._places.rooms[room_id])

    def _quarantine(self, place: Place, now_s: float) -> None:
        place.quarantined_until_s = now_s + self._config.quarantine
        self._metrics.quarantines.labels(place.room.room_id).inc()
        _log.error("room is quarantined", extra={"room_id": place.room.room_id})
        why = f"its stream crashed the process that pulled it again; it is left alone for {self._config.quarantine:g} s"
        self._places.tell(place, RoomState.QUARANTINED, "crashed_again", f"{why}; look at what its publisher sends")

    def _health(self, handle: IngestHandle, stats: IngestStats) -> None:
        self._pool.note_given_up(handle, stats.given_up)
        if stats.hung >= self._config.max_hung and time.monotonic() >= self._recycle_from_s:
            self._recycle(handle, stats.hung)

    def _recycle(self, handle: IngestHandle, hung: int) -> None:
        """Moves the rooms of a process with too many hung threads into another, then ends it."""
        if not self._pool.retire(handle):
            return
        _log.warning("ingest process %d is replaced: %d threads hang", handle.pid, hung)
        self._metrics.ingest_recycled.inc()
        self._recycle_from_s = time.monotonic() + _RECYCLE_EVERY_S
        for place in [place for place in self._places.rooms.values() if place.handle is handle and not place.leaving]:
            self._places.begin_move(place)

    def _tick(self, now_s: float) -> None:
        for place in list(self._places.rooms.values()):
            if place.quarantined_until_s is not None and now_s >= place.quarantined_until_s:
                place.quarantined_until_s = None
                self._trials.append(place.room.room_id)
            self._move_on(place, now_s)
            self._end_trial(place, now_s)
        running = sum(place.trial_until_s is not None for place in self._places.rooms.values())
        while self._trials and running < _TRIALS:
            running += self._try_alone(self._trials.popleft())

    def _move_on(self, place: Place, now_s: float) -> None:
        """No room stays with a process that is to be ended, nor waits for ever to be taken over."""
        if place.next is not None and self._pool.is_retired(place.next):
            self._places.cancel_move(place)
        if place.next is not None and now_s >= place.move_by_s:
            self._places.finish_move(place)
        settled = place.next is None and not place.leaving
        if settled and place.handle is not None and self._pool.is_retired(place.handle):
            self._places.begin_move(place)

    def _try_alone(self, room_id: str) -> bool:
        place = self._places.rooms.get(room_id)
        if place is None or place.handle is not None or place.quarantined_until_s is not None:
            return False
        self._places.try_alone(place)
        return True

    def _end_trial(self, place: Place, now_s: float) -> None:
        """A suspect that did no harm goes back to the others, where there are any."""
        if place.trial_until_s is None or place.leaving or now_s < place.trial_until_s:
            return
        place.trial_until_s = None
        if len(self._places.rooms) > 1:
            self._places.begin_move(place)
