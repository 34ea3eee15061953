"""What a sample clip holds, and whether what a monitor reported of it is that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streammon.entities import Moment
from streammon.events import Phase, ViolationEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Seconds of the clip in which one label must be found, from `start_s` to `end_s`."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An incident as a consumer saw it, its times in seconds of the clip. `last_s` is None where no end came."""

    label: str
    first_s: float
    last_s: float | None


class _Written(msgspec.Struct):
    duration_s: float
    violations: list[Stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """All of a clip's stretches; the rest of it is quiet."""

    duration_s: float
    stretches: frozenset[Stretch]


def read_truth(path: Path) -> Truth:
    """The truth beside a clip, `room.json` for `room.mp4`."""
    written = msgspec.json.decode(path.read_bytes(), type=_Written)
    return Truth(duration_s=written.duration_s, stretches=frozenset(written.violations))


def incidents(events: Iterable[ViolationEvent], clip_time: Callable[[Moment], float]) -> list[Reported]:
    """The incidents among one room's events. `clip_time` tells at which second of the clip a moment was."""
    found: dict[str, Reported] = {}
    for event in events:
        last_s = clip_time(event.last) if event.phase is Phase.END else None
        found[event.incident_id] = Reported(label=event.label, first_s=clip_time(event.first), last_s=last_s)
    return list(found.values())


def faults(truth: Truth, reported: Iterable[Reported], slack_s: float) -> list[str]:
    """What is missing, what should not be there, and what has no end, one line each; times may be off by `slack_s`."""
    wrong = []
    missing = set(truth.stretches)
    for incident in reported:
        stretch = next((s for s in truth.stretches if _is(incident, s, slack_s)), None)
        if stretch is None:
            until = "?" if incident.last_s is None else f"{incident.last_s:.1f}"
            wrong.append(f"unexpected: {incident.label} from {incident.first_s:.1f} s to {until} s")
            continue
        missing.discard(stretch)
        if incident.last_s is None:
            wrong.append(f"never ended: {incident.label} from {incident.first_s:.1f} s")
    wrong += [f"missing: {s.label} from {s.start_s:g} s to {s.end_s:g} s" for s in sorted(missing, key=_start)]
    return wrong


def _is(incident: Reported, stretch: Stretch, slack_s: float) -> bool:
    last_s = incident.first_s if incident.last_s is None else incident.last_s
    return (
        incident.label == stretch.label
        and stretch.start_s - slack_s <= incident.first_s <= stretch.start_s + 2 * slack_s
        and last_s <= stretch.end_s + slack_s
    )


def _start(stretch: Stretch) -> float:
    return stretch.start_s
