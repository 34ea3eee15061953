"""All that a room's judge knows, as data: what another judge goes on from, in another process or on another machine.

Times are seconds from `taken_at`, so mostly negative: a monotonic clock means nothing where it does not run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from streammon.judge.combine import Picture
from streammon.judge.incident import Incident, Key
from streammon.judge.policy import Rule
from streammon.judge.restraint import RestraintState


@dataclass(frozen=True, slots=True, kw_only=True)
class LostIncident:
    """An incident of a lost owner, that one which starts soon goes on from."""

    key: Key
    incident_id: str


@dataclass(slots=True, kw_only=True)
class PastIncident:
    """An incident that is over, kept for what people may still say of it."""

    key: Key
    incident_id: str
    models: tuple[str, ...]
    has_feedback: bool
    false_alarm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeState:
    """A judge at `taken_at`, UTC. `over_s` is when the room's stream was over, None where it is not.

    `rules` are those of the open incidents' labels: what a policy that knows them no more ends them by.
    """

    taken_at: datetime
    policy_id: str
    policy_version: str
    rules: dict[str, Rule]
    seq: int
    opened_s: float
    over_s: float | None
    closed: bool
    incidents: tuple[Incident, ...]
    lost: tuple[LostIncident, ...]
    past: tuple[PastIncident, ...]
    restraints: RestraintState
    picture: Picture = field(default_factory=Picture)
    version: int = 1
