"""Turns a connection's PTS into `pts_s`: seconds since its first packet, that never run back or leap ahead."""

from __future__ import annotations

from fractions import Fraction

# A gap in one connection that is longer than this is a new clock, not a pause: publishers restart and encoders reset.
_LEAP_S = 30.0
_REORDER_S = 1.0


class Timeline:
    """The clock of one session. B-frames come out of order by less than a second; that order is kept."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._offset_s: float | None = None
        self._latest_s = 0.0

    def begin_run(self, time_base: Fraction) -> None:
        """From the next packet on the stream has another clock, which goes on where the last one was."""
        self._time_base = time_base
        self._offset_s = None

    def seconds(self, pts: int) -> float:
        """The `pts_s`, from 0, of a packet with that PTS in stream time base units."""
        raw_s = float(pts * self._time_base)
        if self._offset_s is None:
            self._offset_s = self._latest_s - raw_s
        pts_s = raw_s + self._offset_s
        if not -_REORDER_S <= pts_s - self._latest_s <= _LEAP_S:
            self._offset_s = self._latest_s - raw_s
            pts_s = self._latest_s
        self._latest_s = max(self._latest_s, pts_s)
        return max(pts_s, 0.0)
