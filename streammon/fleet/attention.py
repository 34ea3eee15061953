"""Looks more closely where something is seen, and less where nothing changes. For the judge's thread alone, once it
runs.
"""

from __future__ import annotations

from collections.abc import Callable

from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.scheduling.request import Examined
from streammon.entities import Outcome, Room
from streammon.fleet.pace import Pace
from streammon.judge.feasible import slowest_interval_s
from streammon.judge.policy import Policy
from streammon.metrics import Metrics

_PACE_EVERY_S = 1.0


class Attention:
    """What the judge sees in the rooms decides how often they are sampled, and when a look may be spared.

    `set_interval` is called with a room's id and its new interval in seconds; `saturation` tells how much more work
    there is than can be done, see `Engine.saturation`.
    """

    def __init__(
        self,
        reuse: RoomReuse,
        pace: Pace,
        set_interval: Callable[[str, float], None],
        saturation: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._reuse = reuse
        self._pace = pace
        self._set_interval = set_interval
        self._saturation = saturation
        self._metrics = metrics
        self._due_s = 0.0

    def opened(self, room: Room, policy: Policy, now_s: float) -> None:
        """A room is watched from now on."""
        self._pace.add(room.room_id, room.interval_s, slowest_interval_s(policy), now_s)

    def policy_changed(self, room_id: str, policy: Policy) -> None:
        """A room is judged by other rules from now on: what was seen before must be looked at again."""
        self._reuse.forget(room_id)
        self._pace.bound(room_id, slowest_interval_s(policy))

    def closed(self, room_id: str) -> None:
        """A room is watched no longer."""
        self._reuse.forget(room_id)
        self._pace.remove(room_id)

    def judged(self, examined: Examined, now_s: float, *, busy: bool, hit: bool) -> None:
        """A frame has been judged. `busy`: something goes on in its room. `hit`: it has just begun, or is not sure yet.

        What goes on for hours keeps a room from being spared looks, but not at the higher rate.
        """
        looked = [o.detector for o in examined.observations if o.outcome is Outcome.EXAMINED]
        self._reuse.judged(examined.request.frame, looked, hold=busy)
        if hit and looked:
            self._pace.hit(examined.request.frame.room_id, now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed: rooms whose turn it is are sampled faster, or more slowly."""
        if now_s < self._due_s:
            return
        self._due_s = now_s + _PACE_EVERY_S
        changes = self._pace.tick(now_s, self._saturation())
        for tempo, rooms in self._pace.tempos.items():
            self._metrics.rooms_by_tempo.labels(tempo.value).set(rooms)
        for room_id, interval_s in changes:
            self._set_interval(room_id, interval_s)
