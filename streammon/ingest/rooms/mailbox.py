"""Where sampled frames wait for the engine: bounded per room by its slots, and only what is overdue is thrown away.

The ingest process's reader thread puts, the engine's thread takes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition

from streammon.entities import Frame, Moment
from streammon.ingest.rooms.arena import Arena
from streammon.ingest.rooms.wire import FrameReady


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A frame that lies in shared memory. `release` gives its slot back and is called exactly once."""

    ready: FrameReady
    arena: Arena
    release: Callable[[], None]


class Mailbox:
    """All rooms' waiting frames, handed out by deadline."""

    def __init__(self, on_drop: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_drop = on_drop
        self._clock = clock
        self._rooms: dict[str, deque[Letter]] = {}
        self._changed = Condition()

    def put(self, letter: Letter) -> None:
        """Takes in a frame, and throws away what has become overdue. Never blocks."""
        with self._changed:
            self._rooms.setdefault(letter.ready.room_id, deque()).append(letter)
            overdue = self._take_overdue()
            self._changed.notify()
        self._drop(overdue)

    def take(self, timeout_s: float) -> Frame | None:
        """The frame with the earliest deadline, copied out of shared memory; None where none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._rooms.values()), timeout_s)
            overdue = self._take_overdue()
            letter = self._take_first()
        self._drop(overdue)
        return None if letter is None else _open(letter)

    def waiting(self) -> int:
        """Frames that wait now."""
        with self._changed:
            return sum(len(letters) for letters in self._rooms.values())

    def waiting_until(self, room_id: str, session: int) -> bool:
        """Whether frames of a room wait that came in this session or in an earlier one."""
        with self._changed:
            return any(letter.ready.session <= session for letter in self._rooms.get(room_id, ()))

    def _take_first(self) -> Letter | None:
        heads = [letters for letters in self._rooms.values() if letters]
        return min(heads, key=lambda letters: letters[0].ready.deadline_s).popleft() if heads else None

    def _take_overdue(self) -> list[Letter]:
        now_s = self._clock()
        overdue = []
        for letters in self._rooms.values():
            while letters and letters[0].ready.deadline_s < now_s:
                overdue.append(letters.popleft())
        return overdue

    def _drop(self, letters: list[Letter]) -> None:
        for letter in letters:
            letter.release()
            self._on_drop(letter.ready.room_id)


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
