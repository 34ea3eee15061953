"""How far behind its live edge a connection is whose stream does not say where that is (RTMP, HTTP-FLV). Pure.

Used by the room's thread.
"""

from __future__ import annotations

from collections import deque

_WINDOW_S = 300.0
"""Long enough to hold a moment without delay, short enough that the drift of two clocks (100 ppm: 30 ms) is nothing."""
_STEP_S = 1.0
# A backlog that is caught up with at less than twice its own pace is watched as it comes.
_CATCHING_UP = 2.0
_SETTLED_S = 1.0
_LONGEST_HOLD_S = 10.0
_LEAST_SLACK_S = 1.0
# So near to its usual lag, the stream has caught up.
_NEAR_S = 0.5


class DriftLag:
    """Takes the smallest delay from publisher to us, of the last `window_s` seconds, for the edge.

    A delay is known but for a constant, since the publisher's clock is: how much it grew is the lag.
    """

    def __init__(self, window_s: float = _WINDOW_S) -> None:
        self._window_s = window_s
        # (received_s, delay_s), both rising, at most one per step: the first is the smallest of the window.
        self._least: deque[tuple[float, float]] = deque()

    def lag_s(self, pts_s: float, received_s: float) -> float:
        """The lag, in seconds from 0, of a packet of that stream time that came then on the monotonic clock."""
        delay_s = received_s - pts_s
        least = self._least
        while least and least[-1][1] >= delay_s:
            least.pop()
        while least and least[0][0] < received_s - self._window_s:
            least.popleft()
        if not least or received_s - least[-1][0] >= _STEP_S:
            least.append((received_s, delay_s))
        return delay_s - least[0][1]

    def restart(self) -> None:
        """The stream has another clock: delays before and after do not compare."""
        self._least.clear()


class Backlog:
    """Tells the packets of a backlog: late, and coming so fast that newer ones are right behind them.

    A stream that stays late, or comes on at its own pace, is none: late pictures are better than none. So it takes a
    second of such a pace to tell a backlog from a longer delay, and ten at most.
    """

    def __init__(self) -> None:
        self._usual_s = 0.0
        self._held: _Held | None = None

    def holds(self, lag_s: float, received_s: float, interval_s: float) -> bool:
        """Whether a packet is of a backlog, and what is in it nobody wants to see any more.

        `interval_s` is that between samples: by less than one, or a second, nothing is late.
        """
        slack_s = max(interval_s, _LEAST_SLACK_S) if self._held is None else _NEAR_S
        if lag_s <= self._usual_s + slack_s:
            self._usual_s, self._held = min(self._usual_s, lag_s), None
            return False
        if self._held is None:
            self._held = _Held(lag_s, received_s)
        if self._held.goes_on(lag_s, received_s):
            return True
        self._usual_s, self._held = lag_s, None
        return False

    def restart(self) -> None:
        """The stream has another clock."""
        self._usual_s, self._held = 0.0, None


class _Held:
    """One backlog, since its first packet."""

    def __init__(self, lag_s: float, received_s: float) -> None:
        self._began_s = received_s
        self._seen_s = received_s
        self._seen_lag_s = lag_s

    def goes_on(self, lag_s: float, received_s: float) -> bool:
        """Whether it is still being caught up with, or has stopped again."""
        if received_s - self._began_s > _LONGEST_HOLD_S:
            return False
        passed_s = received_s - self._seen_s
        if passed_s < _SETTLED_S:
            return True
        pace = 1.0 - (lag_s - self._seen_lag_s) / passed_s
        self._seen_s, self._seen_lag_s = received_s, lag_s
        return not 1 / _CATCHING_UP <= pace <= _CATCHING_UP
