"""What an operator may set about sampling rooms faster after a hit, and more slowly while nothing happens."""

from __future__ import annotations

from pydantic import Field

from streammon.config import Seconds, Section


class AfterHitConfig(Section):
    """A room in which something was seen."""

    interval: Seconds = Field(default=1.0, ge=0.1, le=600, description="of its pictures, where it is not shorter")
    lasts: Seconds = Field(default=20.0, gt=0, le=3600, description="after the last hit")
    overload_share: float = Field(
        default=0.1, ge=0, le=1, description="of all rooms that may be sampled faster while there is too much work"
    )


class QuietConfig(Section):
    """A room in which nothing was seen for long."""

    after: Seconds = Field(default=60.0, ge=10, le=86_400, description="without a hit")
    most: float = Field(
        default=1.0, ge=1, le=10, description="times its interval, or less where its policy could not confirm; 1: never"
    )


class PaceConfig(Section):
    """How a room's rate follows what is seen in it."""

    enabled: bool = Field(default=True, description="if not, every room keeps to its own interval")
    hold: Seconds = Field(default=5.0, ge=1, le=600, description="least time between two speed-ups of one room")
    after_hit: AfterHitConfig = AfterHitConfig()
    quiet: QuietConfig = QuietConfig()
