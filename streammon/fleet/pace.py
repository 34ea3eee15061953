"""Says how often each room is to be sampled: faster after a hit, more slowly while quiet. Pure; one thread's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from streammon.fleet.pace_config import PaceConfig

# Saturation is the work there is to the work that can be done. Overload ends only clearly below 1, since the speed-ups
# that it takes away are part of what caused it.
_OVERLOAD, _OVERLOAD_OVER = 1.0, 0.9


class Tempo(StrEnum):
    """Beside the room's own interval: shorter, the same, longer."""

    FAST = "fast"
    USUAL = "usual"
    SLOW = "slow"


@dataclass(slots=True)
class _Room:
    """`hit_s` and `sped_s` are None before the first; `told_s` is the interval that ingest keeps to."""

    usual_s: float
    slowest_s: float
    since_s: float
    told_s: float
    tempo: Tempo = Tempo.USUAL
    hit_s: float | None = None
    sped_s: float | None = None


class Pace:
    """The rates of all rooms of one engine. Times are `time.monotonic()`, in seconds."""

    def __init__(self, config: PaceConfig) -> None:
        self._config = config
        self._rooms: dict[str, _Room] = {}
        self._overloaded = False

    def add(self, room_id: str, usual_s: float, slowest_s: float, now_s: float) -> None:
        """A room to watch, which ingest samples every `usual_s` seconds; one that is known begins anew.

        `slowest_s`: the longest interval at which its policy can still confirm, clear and not go blind. Where that is
        shorter than `usual_s`, the room is never slowed down.
        """
        self._rooms[room_id] = _Room(usual_s=usual_s, slowest_s=slowest_s, since_s=now_s, told_s=usual_s)

    def bound(self, room_id: str, slowest_s: float) -> None:
        """The room's policy has changed, and with it `slowest_s`, as in `add`. One that is not known is passed over."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.slowest_s = slowest_s

    def remove(self, room_id: str) -> None:
        """The room is no longer watched. One that is not known is passed over."""
        self._rooms.pop(room_id, None)

    def hit(self, room_id: str, now_s: float) -> None:
        """Something was seen in the room. The next tick speeds it up. A room that is not known is passed over."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.hit_s = now_s

    def tick(self, now_s: float, saturation: float = 0.0) -> list[tuple[str, float]]:
        """The rooms whose interval is to change, and the new one in seconds. Call it about once a second.

        While `saturation` is above 1, and until it has fallen below 0.9, only a share of the rooms is sped up.
        """
        if not self._config.enabled:
            return []
        self._overloaded = saturation > (_OVERLOAD_OVER if self._overloaded else _OVERLOAD)
        fast = self._chosen(now_s)
        changes = []
        for room_id, room in self._rooms.items():
            self._set_tempo(room, now_s, fast=room_id in fast)
            interval_s = self._interval_s(room)
            if interval_s != room.told_s:
                room.told_s = interval_s
                changes.append((room_id, interval_s))
        return changes

    @property
    def tempos(self) -> Mapping[Tempo, int]:
        """How many rooms are at each tempo, as of the last tick."""
        counts = Counter(room.tempo for room in self._rooms.values())
        return {tempo: counts[tempo] for tempo in Tempo}

    def _chosen(self, now_s: float) -> set[str]:
        """The rooms that are to be fast now."""
        wanting = [room_id for room_id, room in self._rooms.items() if self._wants_speed(room, now_s)]
        if self._overloaded:
            # Whoever is fast stays so: passing it round would make many rooms flap and confirm none.
            wanting.sort(key=lambda room_id: (self._rooms[room_id].tempo is not Tempo.FAST, -self._hit_s(room_id)))
            del wanting[int(self._config.after_hit.overload_share * len(self._rooms)) :]
        return set(wanting)

    def _hit_s(self, room_id: str) -> float:
        hit_s = self._rooms[room_id].hit_s
        return hit_s if hit_s is not None else 0.0

    def _wants_speed(self, room: _Room, now_s: float) -> bool:
        if room.hit_s is None or now_s - room.hit_s >= self._config.after_hit.lasts:
            return False
        if self._config.after_hit.interval >= room.usual_s:
            return False
        held = room.sped_s is not None and now_s - room.sped_s < self._config.hold
        return room.tempo is Tempo.FAST or not held

    def _set_tempo(self, room: _Room, now_s: float, *, fast: bool) -> None:
        last_s = room.hit_s if room.hit_s is not None else room.since_s
        if fast:
            if room.tempo is not Tempo.FAST:
                room.sped_s = now_s
            room.tempo = Tempo.FAST
        elif now_s - last_s >= self._config.quiet.after and self._slow_s(room) > room.usual_s:
            room.tempo = Tempo.SLOW
        else:
            room.tempo = Tempo.USUAL

    def _slow_s(self, room: _Room) -> float:
        return min(room.usual_s * self._config.quiet.most, room.slowest_s)

    def _interval_s(self, room: _Room) -> float:
        match room.tempo:
            case Tempo.FAST:
                return self._config.after_hit.interval
            case Tempo.USUAL:
                return room.usual_s
            case Tempo.SLOW:
                return self._slow_s(room)
