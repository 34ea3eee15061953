"""Which slots of an ingest process's arena belong to which of its rooms, as the engine knows it. Any thread."""

from __future__ import annotations

from threading import Lock


class SlotBook:
    """A slot is unused, or a room's; a room's slot is lent to the engine while a frame lies in it."""

    def __init__(self, slots: int) -> None:
        self._lock = Lock()
        self._unused = list(range(slots))
        self._rooms: dict[str, set[int]] = {}
        self._lent: dict[int, str] = {}

    def give(self, room_id: str, count: int) -> list[int]:
        """Slots for a new room. Raises ValueError where there are not so many left."""
        with self._lock:
            if len(self._unused) < count:
                raise ValueError("the ingest process has no place for another room")
            slots = [self._unused.pop() for _ in range(count)]
            self._rooms[room_id] = set(slots)
            return slots

    def free(self) -> int:
        """How many slots are nobody's."""
        with self._lock:
            return len(self._unused)

    def knows(self, room_id: str) -> bool:
        """Whether the room has slots here."""
        with self._lock:
            return room_id in self._rooms

    def lend(self, room_id: str, slot: int) -> bool:
        """A frame of the room's lies in that slot. False where it was not the room's to fill."""
        with self._lock:
            if slot in self._lent or slot not in self._rooms.get(room_id, ()):
                return False
            self._lent[slot] = room_id
            return True

    def settle(self, slot: int) -> None:
        """The frame in that slot has been read."""
        with self._lock:
            room_id = self._lent.pop(slot)
            if slot not in self._rooms.get(room_id, ()):
                self._unused.append(slot)  # the room went while its frame waited

    def take_back(self, room_id: str) -> None:
        """The room writes no more: its slots are free, those that are lent as soon as they have been read."""
        with self._lock:
            slots = self._rooms.pop(room_id)
            self._unused += [slot for slot in slots if slot not in self._lent]
