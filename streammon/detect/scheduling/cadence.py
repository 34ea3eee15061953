"""Which detectors are due for a room's frame. Pure; the scheduler's owner holds the lock."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from streammon.entities import Frame

_FORGET_AFTER_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """The frame that a detector was last given."""

    session: int
    seq: int
    pts_s: float
    received_s: float

    @classmethod
    def of(cls, frame: Frame) -> _Mark:
        return cls(session=frame.moment.session, seq=frame.seq, pts_s=frame.moment.pts_s, received_s=frame.received_s)

    def gap_s(self, frame: Frame) -> float:
        """From here to `frame`: by the stream's clock, since a segment's frames are received all at once, or by our own
        where the stream's stands still; infinite after a reconnect or a jump back.
        """
        ahead_s = frame.moment.pts_s - self.pts_s
        if frame.moment.session != self.session or ahead_s < 0:
            return math.inf
        return max(ahead_s, frame.received_s - self.received_s)


@dataclass(slots=True)
class _Line:
    seen_s: float
    marks: dict[str, _Mark] = field(default_factory=dict)


class Cadence:
    """What each detector was last given of each line of frames. A line that is silent for 10 minutes is forgotten."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, _Line] = OrderedDict()

    def __len__(self) -> int:
        """Lines that are known."""
        return len(self._lines)

    def due(self, line: Hashable, detector: str, frame: Frame, every_s: float, interval_s: float) -> bool:
        """Whether the frame is nearer to `every_s` after the detector's last one than the next will be.

        Hence half of `interval_s` of slack: with `every_s` at the interval, every frame is due, however they jitter.
        """
        known = self._lines.get(line)
        mark = None if known is None else known.marks.get(detector)
        return mark is None or mark.gap_s(frame) >= every_s - interval_s / 2

    def give(self, line: Hashable, detector: str, frame: Frame, now_s: float) -> None:
        """The detector is to look at this frame, unless `release` is called for it."""
        self._forget(now_s)
        known = self._lines.setdefault(line, _Line(now_s))
        known.seen_s = now_s
        self._lines.move_to_end(line)
        known.marks[detector] = _Mark.of(frame)

    def release(self, line: Hashable, detector: str, frame: Frame) -> None:
        """Nothing came of it: the next frame is due. No change where another frame was given meanwhile."""
        known = self._lines.get(line)
        if known is not None and known.marks.get(detector) == _Mark.of(frame):
            del known.marks[detector]

    def _forget(self, now_s: float) -> None:
        while self._lines and now_s - next(iter(self._lines.values())).seen_s > _FORGET_AFTER_S:
            self._lines.popitem(last=False)
