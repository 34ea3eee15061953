"""Who is to blame when an ingest process crashes: suspects are tried alone, a repeat offender is quarantined. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from streammon.fleet.budget import RestartBudget

# Two crashes of one room within this are no accident.
_OFFENCES = 2
_WITHIN_S = 3600.0
_MAX_RESTARTS = 5
_RESTARTS_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """What becomes of a crashed process's rooms: `cleared` go on at once, `suspects` are tried, each by itself.

    `offender` has crashed again and is left alone. `within_budget` is False where processes crash too often and nobody
    knows why.
    """

    cleared: tuple[str, ...]
    suspects: tuple[str, ...]
    offender: str | None
    within_budget: bool


@dataclass(slots=True)
class Suspicion:
    """Remembers the crashes of one supervisor's rooms. Times are monotonic."""

    _offences: dict[str, list[float]] = field(default_factory=dict)
    _budget: RestartBudget = field(default_factory=lambda: RestartBudget(_MAX_RESTARTS, _RESTARTS_WITHIN_S))

    def crashed(self, rooms: Collection[str], named: str | None, now_s: float) -> Blame:
        """A process with these rooms crashed; `named` is the room in whose thread, where that is known.

        A crash that is one room's for certain is charged to that room, any other to the restart budget.
        """
        suspects = (named,) if named is not None and named in rooms else tuple(rooms)
        cleared = tuple(room for room in rooms if room not in suspects)
        if len(suspects) != 1:
            return Blame(cleared=cleared, suspects=suspects, offender=None, within_budget=self._budget.spend(now_s))
        times = [at for at in self._offences.get(suspects[0], []) if now_s - at <= _WITHIN_S]
        self._offences[suspects[0]] = [*times, now_s]
        again = len(times) + 1 >= _OFFENCES
        return Blame(
            cleared=cleared,
            suspects=() if again else suspects,
            offender=suspects[0] if again else None,
            within_budget=True,
        )

    def stopped_from_outside(self, rooms: Collection[str], now_s: float) -> Blame:
        """Somebody ended the process: no room did it."""
        return Blame(cleared=tuple(rooms), suspects=(), offender=None, within_budget=self._budget.spend(now_s))

    def forget(self, room_id: str) -> None:
        """The room is no longer ours."""
        self._offences.pop(room_id, None)

    @property
    def budget(self) -> str:
        """The restart budget, for people."""
        return str(self._budget)
