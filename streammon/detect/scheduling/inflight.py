"""The frames that are inside the engine, and the order in which they leave it. Pure; their owner holds the lock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streammon.detect.scheduling.request import Cost, Examined, Request, RequestClass
from streammon.entities import Observation


@dataclass(slots=True, kw_only=True, eq=False)
class Admitted:
    """A frame on its way through the lanes."""

    request: Request
    detectors: tuple[str, ...]
    since_s: float
    observations: dict[str, Observation] = field(default_factory=dict)
    cost: dict[str, Cost] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    """The detectors that wait for their gates."""
    retried: set[str] = field(default_factory=set)
    """The detectors that failed on it, and get it once more, alone."""

    @property
    def complete(self) -> bool:
        """Whether every detector has come to an end with it."""
        return len(self.observations) == len(self.detectors)

    def charge(self, detector: str, cost: Cost) -> None:
        """Adds what a run has cost."""
        self.cost[detector] = self.cost.get(detector, Cost()) + cost

    def examined(self) -> Examined:
        """What came of it, once it is complete."""
        observations = tuple(self.observations[name] for name in self.detectors)
        return Examined(request=self.request, observations=observations, cost=self.cost)


class InFlight:
    """Frames leave their line (a room's of one class) in the order in which they came, whatever order they end in."""

    def __init__(self) -> None:
        self._lines: dict[tuple[RequestClass, str], deque[Admitted]] = {}
        self._ready: deque[Admitted] = deque()
        self._inside = 0

    def __len__(self) -> int:
        """Frames inside: those that wait, that are being examined, and that are being told of."""
        return self._inside

    def add(self, frame: Admitted) -> None:
        """A frame has come in."""
        self._lines.setdefault(frame.request.line, deque()).append(frame)
        self._inside += 1

    def complete(self, frame: Admitted) -> None:
        """A frame has become complete. It leaves when all before it in its line have been told of."""
        if self._lines[frame.request.line][0] is frame:
            self._ready.append(frame)

    def take(self) -> Admitted | None:
        """A frame to tell of, None where there is none. The next of its line comes only after `told`."""
        return self._ready.popleft() if self._ready else None

    def told(self, frame: Admitted) -> None:
        """The listener has been told of a frame that `take` gave: it is inside no more."""
        line = self._lines[frame.request.line]
        line.popleft()
        self._inside -= 1
        if not line:
            del self._lines[frame.request.line]
        elif line[0].complete:
            self._ready.append(line[0])

    def holds(self, room_id: str, session: int) -> bool:
        """Whether live frames of a room are inside that came in this session or in an earlier one."""
        line = self._lines.get((RequestClass.LIVE, room_id), ())
        return any(frame.request.frame.moment.session <= session for frame in line)
