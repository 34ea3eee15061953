"""Where sampled frames wait for the engine: bounded per room by its slots, and only what is overdue is thrown away.

The ingest processes' reader threads put, the engine's dispatcher takes, the judge's thread says what is done.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition
from typing import NamedTuple

from streammon.entities import Frame, Moment
from streammon.fairness import FairOrder
from streammon.ingest.rooms.arena import Arena
from streammon.ingest.rooms.wire import FrameReady

_LOOK_EVERY_S = 0.1


class _Standing(NamedTuple):
    priority: int
    interval_s: float


_USUAL = _Standing(priority=0, interval_s=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A frame that lies in shared memory. `release` gives its slot back and is called exactly once."""

    ready: FrameReady
    arena: Arena
    release: Callable[[], None]


class Mailbox:
    """All rooms' waiting frames: a room's in order, the rooms by priority, and within one sharing alike (`FairOrder`).

    `on_drop` is called with the room of each frame that is thrown away.
    """

    def __init__(self, on_drop: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_drop = on_drop
        self._on_put: Callable[[], None] | None = None
        self._clock = clock
        self._rooms: dict[str, deque[Letter]] = {}
        self._order: FairOrder[str] = FairOrder()
        self._standing: dict[str, _Standing] = {}
        self._unjudged: Counter[tuple[str, int]] = Counter()
        self._arrived = 0
        self._look_s = 0.0
        self._changed = Condition()

    def on_put(self, call: Callable[[], None]) -> None:
        """From now on `call` is called after each frame that is put, on the thread that puts it."""
        self._on_put = call

    def set_standing(self, room_id: str, *, priority: int, interval_s: float) -> None:
        """Where a room stands among the others: with `interval_s` between its frames, its fair share is one of each."""
        with self._changed:
            self._standing[room_id] = _Standing(priority, interval_s)
            if self._rooms.get(room_id):
                self._queue(room_id)

    def forget_standing(self, room_id: str) -> None:
        """The room has gone."""
        with self._changed:
            self._standing.pop(room_id, None)

    def put(self, letter: Letter) -> None:
        """Takes in a frame, and throws away what has become overdue. Never blocks."""
        room_id = letter.ready.room_id
        with self._changed:
            self._arrived += 1
            self._unjudged[room_id, letter.ready.session] += 1
            self._rooms.setdefault(room_id, deque()).append(letter)
            self._queue(room_id)
            overdue = self._take_overdue()
            self._changed.notify()
        self._drop(overdue)
        if self._on_put is not None:
            self._on_put()

    def take(self, timeout_s: float, lead_s: float = 0.0) -> Frame | None:
        """The frame whose turn it is, copied out of shared memory; None where none came in time.

        One that will be overdue in `lead_s` is thrown away as well, but `lead_s` counts for no more than half of a
        frame's life. `waiting_until` goes on to count what was taken until it is told to be `done`.
        """
        with self._changed:
            self._changed.wait_for(lambda: bool(self._rooms), timeout_s)
            overdue, letter = self._take_next(lead_s)
        self._drop(overdue)
        return None if letter is None else _open(letter)

    def done(self, frame: Frame) -> None:
        """A frame that was taken has been judged, or nobody wants it."""
        with self._changed:
            self._settle(frame.room_id, frame.moment.session)

    def waiting(self) -> int:
        """Frames that wait now."""
        with self._changed:
            return sum(len(letters) for letters in self._rooms.values())

    @property
    def empty(self) -> bool:
        """Whether no frame waits now."""
        with self._changed:
            return not self._rooms

    def waiting_until(self, room_id: str, session: int) -> bool:
        """Whether frames of a room that came in this session or an earlier one wait, or were taken and are not done."""
        with self._changed:
            return any(room == room_id and came <= session for room, came in self._unjudged)

    def _queue(self, room_id: str) -> None:
        priority = self._standing.get(room_id, _USUAL).priority
        self._order.wait(room_id, priority=priority, deadline_s=self._rooms[room_id][0].ready.deadline_s)

    def arrived(self) -> int:
        """Frames that have come since the start, those that were thrown away included."""
        return self._arrived

    def _take_next(self, lead_s: float) -> tuple[list[Letter], Letter | None]:
        """The frame whose turn it is, and those that were found to be overdue."""
        overdue = self._take_overdue()
        while (room_id := self._order.pop()) is not None:
            overdue += self._overdue_of(room_id, lead_s)
            if not (letters := self._rooms.get(room_id)):
                continue
            standing = self._standing.get(room_id, _USUAL)
            self._order.charge(room_id, standing.interval_s)
            letter = letters.popleft()
            if letters:
                self._queue(room_id)
            else:
                del self._rooms[room_id]
            return overdue, letter
        return overdue, None

    def _take_overdue(self) -> list[Letter]:
        """What is overdue in any room, looked for ten times a second: slots are waited for."""
        now_s = self._clock()
        if now_s < self._look_s:
            return []
        self._look_s = now_s + _LOOK_EVERY_S
        overdue = [letter for room_id in list(self._rooms) for letter in self._overdue_of(room_id)]
        for room_id in {letter.ready.room_id for letter in overdue} - self._rooms.keys():
            self._order.leave(room_id)
        return overdue

    def _overdue_of(self, room_id: str, lead_s: float = 0.0) -> list[Letter]:
        letters, overdue, now_s = self._rooms[room_id], [], self._clock()
        while letters and _useful_until_s(letters[0].ready, lead_s) < now_s:
            overdue.append(letters.popleft())
        if not letters:
            del self._rooms[room_id]
        return overdue

    def _drop(self, letters: list[Letter]) -> None:
        for letter in letters:
            letter.release()
            with self._changed:
                self._settle(letter.ready.room_id, letter.ready.session)
            self._on_drop(letter.ready.room_id)

    def _settle(self, room_id: str, session: int) -> None:
        self._unjudged[room_id, session] -= 1
        if self._unjudged[room_id, session] <= 0:
            del self._unjudged[room_id, session]


def _useful_until_s(ready: FrameReady, lead_s: float) -> float:
    return ready.deadline_s - min(lead_s, (ready.deadline_s - ready.received_s) / 2)


def _open(letter: Letter) -> Frame:
    ready = letter.ready
    try:
        image = letter.arena.read(ready.slot, ready.image_height, ready.image_width)
    finally:
        letter.release()
    return Frame(
        room_id=ready.room_id,
        moment=Moment(
            session=ready.session, pts_s=ready.pts_s, program_at=ready.program_at, received_at=ready.received_at
        ),
        seq=ready.seq,
        key_frame=ready.key_frame,
        width=ready.width,
        height=ready.height,
        image=image,
        received_s=ready.received_s,
        deadline_s=ready.deadline_s,
    )
