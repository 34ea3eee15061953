"""Remembers mutes of rooms that this engine does not own yet, until they run out. Used by the engine's thread."""

from __future__ import annotations

from datetime import datetime, timedelta

from streammon.events import FeedbackAction
from streammon.judge.feedback import Feedback

# A monitor hears the mutes of all rooms of the platform; beyond these bounds the one that runs out first gives way.
_MOST_ROOMS = 10_000
_MOST_OF_A_ROOM = 32


class EarlyMutes:
    """Those of labels: a mute of an incident means nothing to a room that begins without it."""

    def __init__(self) -> None:
        self._rooms: dict[str, list[Feedback]] = {}

    def keep(self, feedback: Feedback, now: datetime) -> None:
        """Takes note of what was said of a room that is not ours, where it is a mute that still runs; once."""
        mute = feedback.action is FeedbackAction.MUTE and feedback.label is not None
        if not mute or _over(feedback) <= now or feedback in self._rooms.get(feedback.room_id, ()):
            return
        if feedback.room_id not in self._rooms and len(self._rooms) >= _MOST_ROOMS:
            self._make_room(now)
        mutes = self._rooms.setdefault(feedback.room_id, [])
        mutes.append(feedback)
        if len(mutes) > _MOST_OF_A_ROOM:
            mutes.remove(min(mutes, key=_over))

    def take(self, room_id: str, now: datetime) -> list[Feedback]:
        """What still runs of a room that is ours from now on, in the order in which it was said. Forgets it."""
        return [mute for mute in self._rooms.pop(room_id, ()) if _over(mute) > now]

    def _make_room(self, now: datetime) -> None:
        ends = {room_id: max(map(_over, mutes)) for room_id, mutes in self._rooms.items()}
        over = [room_id for room_id, end in ends.items() if end <= now]
        for room_id in over or [min(ends, key=ends.__getitem__)]:
            del self._rooms[room_id]


def _over(mute: Feedback) -> datetime:
    return mute.at + timedelta(seconds=mute.seconds or 0.0)
