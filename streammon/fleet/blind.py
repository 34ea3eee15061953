"""Counts the seconds in which a room was not watched, wholly or by some detector, by cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streammon.events import BlindTime


class BlindClock:
    """One room's blind time since its owner epoch began. A room is blind from the start until its stream flows.

    While it is watched, it is blind for the labels of detectors that are switched off: each is a cause of its own,
    `detector:` and its name.
    """

    def __init__(self, now_s: float, on_blind: Callable[[str, float], None]) -> None:
        self._on_blind = on_blind
        self._totals: dict[str, float] = {}
        self._cause: str | None = "connecting"
        self._disabled: tuple[str, ...] = ()
        self._since_s = now_s

    @property
    def cause(self) -> str | None:
        """Why the room is blind now; None where it is watched."""
        return self._cause

    def set_cause(self, cause: str | None, now_s: float) -> None:
        """From `now_s` on the room is blind because of `cause`; None: it is watched."""
        self.accrue(now_s)
        self._cause = cause

    def set_disabled(self, detectors: Iterable[str], now_s: float) -> None:
        """From `now_s` on these detectors are switched off."""
        self.accrue(now_s)
        self._disabled = tuple(f"detector:{name}" for name in detectors)

    def accrue(self, now_s: float) -> None:
        """Adds what has passed to the running causes, so that metrics move while a room stays blind."""
        seconds = max(0.0, now_s - self._since_s)
        for cause in self._disabled if self._cause is None else (self._cause,):
            self._totals[cause] = self._totals.get(cause, 0.0) + seconds
            self._on_blind(cause, seconds)
        self._since_s = now_s

    def totals(self) -> tuple[BlindTime, ...]:
        """Seconds by cause, up to the last accrual."""
        return tuple(BlindTime(cause=cause, seconds=round(s, 3)) for cause, s in sorted(self._totals.items()))
