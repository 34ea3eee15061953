"""Who is next, when not everybody can be: priority first, then shares alike. Pure; its owner holds the lock.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): a key that begins to wait gets a
start tag, max(virtual time, its last finish tag); the least start tag is served; the virtual time is the start tag of
the one served; serving it moves its finish tag on by a weight. Two keys that always wait are served in inverse
proportion to their weights, to within one turn of each.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

# Kept beyond those that wait, before the old ones are looked for.
_SPARE = 64


class FairOrder(Generic[Key]):
    """The order among keys (rooms, classes of requests) that wait.

    A key of a higher priority always goes first. Within a priority, with the interval between a room's frames as the
    weight, rooms become sparser alike when there are too many frames. Who was idle gets nothing for it. Memory follows
    the keys that wait or were lately served. A newcomer goes before those that were just served, so there must not be
    new keys without end.
    """

    def __init__(self) -> None:
        self._levels: dict[int, _Level[Key]] = {}
        self._waiting: dict[Key, int] = {}
        self._served = _Level[Key]()

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._waiting)

    def wait(self, key: Key, *, priority: int = 0, deadline_s: float = 0.0) -> None:
        """`key` has something that waits. No change where it waited already with this priority.

        Of keys whose turn is equally near, the one with the earlier deadline goes first.
        """
        known = self._waiting.get(key)
        if known == priority:
            return
        if known is not None:
            self._levels[known].leave(key)
        self._waiting[key] = priority
        self._levels.setdefault(priority, _Level()).wait(key, deadline_s)

    def leave(self, key: Key) -> None:
        """Nothing of `key` waits any more. It was not served, so it is not charged."""
        priority = self._waiting.pop(key, None)
        if priority is not None:
            self._levels[priority].leave(key)

    def pop(self) -> Key | None:
        """Whose turn it is, None where nobody waits. It waits no more until `wait` says so.

        To be followed by `charge`, unless there was nothing to serve after all.
        """
        for priority in sorted(self._levels, reverse=True):
            level = self._levels[priority]
            key = level.pop()
            if key is not None:
                del self._waiting[key]
                self._served = level
                return key
            del self._levels[priority]  # nobody waits: what was owed there is forgotten
        return None

    def charge(self, key: Key, weight: float) -> None:
        """`key`, which `pop` has just handed out, was served something that is worth `weight` > 0."""
        self._served.charge(key, weight)


class _Level(Generic[Key]):
    """One priority's keys."""

    def __init__(self) -> None:
        self._now = 0.0  # virtual time
        self._finish: dict[Key, float] = {}
        self._entry: dict[Key, int] = {}
        self._heap: list[tuple[float, float, int, Key]] = []
        self._numbers = count()

    def wait(self, key: Key, deadline_s: float) -> None:
        number = next(self._numbers)
        start = max(self._now, self._finish.get(key, 0.0))
        self._entry[key] = number
        heapq.heappush(self._heap, (start, deadline_s, number, key))
        if len(self._heap) > 2 * len(self._entry) + _SPARE:
            self._heap = [item for item in self._heap if self._entry.get(item[3]) == item[2]]
            heapq.heapify(self._heap)

    def leave(self, key: Key) -> None:
        del self._entry[key]  # what is left of it in the heap is passed over

    def pop(self) -> Key | None:
        while self._heap:
            start, _, number, key = heapq.heappop(self._heap)
            if self._entry.get(key) == number:
                del self._entry[key]
                self._now = start
                return key
        return None

    def charge(self, key: Key, weight: float) -> None:
        self._finish[key] = max(self._now, self._finish.get(key, 0.0)) + weight
        if len(self._finish) > 2 * len(self._entry) + _SPARE:
            # A tag that virtual time has passed says nothing more than the time itself.
            self._finish = {key: tag for key, tag in self._finish.items() if tag > self._now}
