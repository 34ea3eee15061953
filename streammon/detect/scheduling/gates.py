"""Which detectors wait for what others find in the same frame. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from streammon.detect.detector import Found
from streammon.entities import Observation, Outcome
from streammon.errors import StreammonError


class Verdict(Enum):
    """What a detector's gates say of a frame."""

    WAIT = auto()
    """Not all of them have come to an end."""
    OPEN = auto()
    """One of them found something."""
    NOTHING = auto()
    """All of them have looked, and there is nothing to look at: a fresh miss, at no cost."""
    SHUT = auto()
    """None found anything, and not all of them have looked."""


class Gates:
    """The gates of each detector. That they form no circle is the configuration's to see to."""

    def __init__(self, only_if: Mapping[str, Sequence[str]], present: Sequence[str]) -> None:
        """`only_if` names each detector's gates; `present` are the detectors that there are.

        Raises StreammonError where a detector that is present would wait for one that is not.
        """
        self._gates = {name: tuple(only_if.get(name, ())) for name in present}
        for name, gates in self._gates.items():
            if missing := [gate for gate in gates if gate not in self._gates]:
                raise StreammonError(
                    f"detect.schedule.{name}.only_if: {', '.join(missing)} is not switched on; "
                    f"the detectors that are: {', '.join(present)}"
                )
        self._behind = {name: tuple(one for one in present if name in self._gates[one]) for name in present}

    def before(self, detector: str) -> tuple[str, ...]:
        """The gates of a detector; empty where it waits for none."""
        return self._gates[detector]

    def behind(self, detector: str) -> tuple[str, ...]:
        """The detectors that have this one as a gate."""
        return self._behind[detector]

    def ask(self, detector: str, observations: Mapping[str, Observation]) -> Verdict:
        """What a detector's gates say, by the observations of the frame that there are so far."""
        seen = [observations.get(gate) for gate in self._gates[detector]]
        if None in seen:
            return Verdict.WAIT
        if any(one is not None and one.detections for one in seen):
            return Verdict.OPEN
        looked = all(one is not None and one.outcome is Outcome.EXAMINED for one in seen)
        return Verdict.NOTHING if looked else Verdict.SHUT

    def found(self, detector: str, observations: Mapping[str, Observation]) -> Found:
        """What the gates of a detector found: only those that found something are named."""
        seen = {gate: observations[gate].detections for gate in self._gates[detector]}
        return {gate: detections for gate, detections in seen.items() if detections}
