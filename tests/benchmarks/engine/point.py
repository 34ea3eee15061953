"""One measurement: so many rooms of one mix, watched by one contender for some time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INTERVAL_S = 2.0
"""Between a room's frames."""
MIN_SHARE = 0.8
"""Of its frames that every room must get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """`share` is frames judged to frames due, of the room that got fewest and of the one that got most.

    `cores` is CPU seconds per second: of the contender, of the server that feeds it, and of all else that ran on the
    machine, without which the figures would be better. `notes` is what only this contender can tell.
    """

    who: str
    mix: str
    rooms: int
    age_p50_s: float
    age_p95_s: float
    min_share: float
    max_share: float
    cores: float
    server_cores: float
    other_cores: float
    rss_gb: float
    pss_gb: float
    notes: Mapping[str, float] = field(default_factory=dict)

    def holds(self, limit_s: float) -> bool:
        """Whether it was on time and left no room out."""
        return self.age_p95_s <= limit_s and self.min_share >= MIN_SHARE

    def line(self) -> str:
        """For people. Columns as in HEADING."""
        notes = ", ".join(f"{name} {value:.2f}" for name, value in self.notes.items())
        return (
            f"{self.who:<21} {self.mix:<7} {self.rooms:>5} {self.age_p50_s:>7.2f} {self.age_p95_s:>7.2f} "
            f"{self.min_share:>6.2f} {self.max_share:>6.2f} {self.cores:>6.2f} {self.server_cores:>7.3f} "
            f"{self.other_cores:>6.2f} {self.rss_gb:>5.2f} {self.pss_gb:>5.2f}  {notes}"
        )


HEADING = (
    f"{'who':<21} {'mix':<7} {'rooms':>5} {'p50 s':>7} {'p95 s':>7} {'share':>6} {'most':>6} {'cores':>6} "
    f"{'server':>7} {'others':>6} {'RSS':>5} {'PSS':>5}  notes"
)
