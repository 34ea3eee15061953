"""Counts the seconds in which a room was not watched, by cause."""

from __future__ import annotations

from collections.abc import Callable

from streammon.events import BlindTime


class BlindClock:
    """One room's blind time since its owner epoch began. A room is blind from the start until its stream flows."""

    def __init__(self, now_s: float, on_blind: Callable[[str, float], None]) -> None:
        self._on_blind = on_blind
        self._totals: dict[str, float] = {}
        self._cause: str | None = "connecting"
        self._since_s = now_s

    @property
    def cause(self) -> str | None:
        """Why the room is blind now; None where it is watched."""
        return self._cause

    def set_cause(self, cause: str | None, now_s: float) -> None:
        """From `now_s` on the room is blind because of `cause`; None: it is watched."""
        self.accrue(now_s)
        self._cause = cause

    def accrue(self, now_s: float) -> None:
        """Adds what has passed to the running cause, so that metrics move while a room stays blind."""
        if self._cause is not None:
            seconds = max(0.0, now_s - self._since_s)
            self._totals[self._cause] = self._totals.get(self._cause, 0.0) + seconds
            self._on_blind(self._cause, seconds)
        self._since_s = now_s

    def totals(self) -> tuple[BlindTime, ...]:
        """Seconds by cause, up to the last accrual."""
        return tuple(BlindTime(cause=cause, seconds=round(s, 3)) for cause, s in sorted(self._totals.items()))
