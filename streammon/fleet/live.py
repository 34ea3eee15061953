"""Hands the rooms' frames from the mailbox to the engine, with what the engine must know of their rooms."""

from __future__ import annotations

from collections.abc import Callable

from streammon.detect.scheduling.request import Request
from streammon.entities import Room
from streammon.ingest.rooms.mailbox import Mailbox


class LiveFrames:
    """A `FrameSource`. None is handed over while `held` says so: what is examined must be judged, or it piles up."""

    def __init__(self, mailbox: Mailbox, room: Callable[[str], Room | None], held: Callable[[], bool]) -> None:
        self._mailbox = mailbox
        self._room = room
        self._held = held

    def take(self, lead_s: float = 0.0) -> Request | None:
        """See `FrameSource`. A frame of a room that is not ours any more is thrown away."""
        while not self._held() and (frame := self._mailbox.take(0.0, lead_s)) is not None:
            room = self._room(frame.room_id)
            if room is not None:
                return Request(frame=frame, owner=room.room_id, interval_s=room.interval_s, every_s=room.every_s)
            self._mailbox.done(frame)
        return None

    def waiting(self) -> bool:
        """See `FrameSource`."""
        return not self._held() and not self._mailbox.empty

    def arrived(self) -> int:
        """See `FrameSource`."""
        return self._mailbox.arrived()
