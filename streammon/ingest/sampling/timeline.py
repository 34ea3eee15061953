"""Turns a connection's PTS into `pts_s`: seconds since its first packet, that never run back or leap ahead."""

from __future__ import annotations

import math
from fractions import Fraction

# A gap in one connection that is longer than this is a new clock, not a pause: publishers restart and encoders reset.
_LEAP_S = 30.0
_REORDER_S = 1.0
# MPEG-TS: stamps have 33 bits (ISO/IEC 13818-1, 2.4.3.7), so they begin anew after 26.5 hours.
_TS_TIME_BASE = Fraction(1, 90_000)
_TS_WRAP_S = float((1 << 33) * _TS_TIME_BASE)


class Timeline:
    """The clock of one session. B-frames come out of order by less than a second; that order is kept.

    `clocks` counts the clocks that the stream has had: with each new one, what was measured by the last is void.
    """

    def __init__(self, time_base: Fraction) -> None:
        self.clocks = 0
        self._time_base = time_base
        self._latest_s = 0.0
        self._latest_raw_s: float | None = None
        self._last_raw_s: float | None = None
        self._apart_s = math.inf
        self._skipped_s: float | None = None
        self._untimed_s = 0.0
        self._untimed_at_s: float | None = None

    def begin_run(self, time_base: Fraction, skipped_s: float = 0.0) -> None:
        """From the next packet on the stream may have another clock, which goes on where the last one was.

        `skipped_s`: so much of the stream was missed in between, as far as is known. Where the clock is plainly the
        same, it tells that better.
        """
        self._time_base = time_base
        if self._latest_raw_s is not None:
            self._skipped_s = skipped_s + (self._skipped_s if self._skipped_s is not None else 0.0)

    def seconds(self, pts: int) -> float:
        """The `pts_s`, from 0, of a packet with that PTS in stream time base units."""
        raw_s = float(pts * self._time_base)
        pts_s = self._latest_s + self._step_s(raw_s)
        self._last_raw_s = raw_s
        self._untimed_s, self._untimed_at_s = 0.0, None
        if pts_s >= self._latest_s:
            self._latest_s, self._latest_raw_s = pts_s, raw_s
        return max(pts_s, 0.0)

    def untimed(self, received_s: float) -> float:
        """The `pts_s` of a packet that has no time: between two of them passes what passed between their arrivals."""
        before_s = self._untimed_at_s if self._untimed_at_s is not None else received_s
        self._untimed_s += max(received_s - before_s, 0.0)
        self._untimed_s += self._skipped_s if self._skipped_s is not None else 0.0
        self._untimed_at_s, self._skipped_s = received_s, None
        return self._latest_s + self._untimed_s

    def _step_s(self, raw_s: float) -> float:
        """From the latest picture that has a time to this one."""
        skipped_s, self._skipped_s = self._skipped_s, None
        expected_s = self._untimed_s + (skipped_s if skipped_s is not None else 0.0)
        if self._latest_raw_s is not None:
            step_s = unwrapped(raw_s - self._latest_raw_s, self._time_base)
            # What packets without a time were told since then stands.
            since_s = step_s - self._untimed_s
            if -_REORDER_S <= since_s <= _LEAP_S if skipped_s is None else bears_out(since_s, skipped_s):
                self._note_distance(raw_s)
                return step_s
            # The last picture was shown for as long as the others.
            expected_s += self._apart_s if self._apart_s <= _REORDER_S else 0.0
        self.clocks += 1
        self._apart_s = math.inf
        return expected_s

    def _note_distance(self, raw_s: float) -> None:
        """Of two pictures: the shortest between packets, since B-frames come out of order."""
        if self._last_raw_s is not None:
            apart_s = abs(unwrapped(raw_s - self._last_raw_s, self._time_base))
            self._apart_s = min(self._apart_s, apart_s) if apart_s > 0 else self._apart_s


def unwrapped(step_s: float, time_base: Fraction) -> float:
    """A step from one stamp to another, the shortest way round where such stamps begin anew."""
    return step_s - _TS_WRAP_S * round(step_s / _TS_WRAP_S) if time_base == _TS_TIME_BASE else step_s


def bears_out(measured_s: float, said_s: float) -> bool:
    """Whether a gap that was measured in another way can be the one that was said to be `said_s` long.

    What is said is rounded, or estimated from segments that differ by up to a half; another clock is off by anything.
    """
    return measured_s >= 0 and abs(measured_s - said_s) <= 1.0 + said_s / 2
