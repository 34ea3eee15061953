"""More rooms than workers can examine, by a clock of the test's: who gets how much, and how old frames become."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from streammon.detect.scheduling.lane import Batch
from streammon.detect.scheduling.load import Load, Totals
from streammon.detect.scheduling.request import Request
from tests.unit.scheduling import Box, Seer, answer, frame, scheduler, told, whys


class Simulation:
    """Rooms that publish into a box, and workers that take as long as is said; no thread and no waiting."""

    def __init__(
        self, rooms: dict[str, tuple[float, int]], workers: int, takes_s: dict[str, float], *, uneven: bool = False
    ) -> None:
        """`rooms` are intervals in seconds and priorities by name. `uneven`: as on a CPU, a detector
        runs two frames at once, each by itself, and no two take equally long.
        """
        self.now_s = 0.0
        self.rooms = rooms
        self.takes_s = takes_s
        self.box = Box(lambda: self.now_s)
        batch, parallel = (1, 2) if uneven else (2, 1)
        self.made = scheduler([Seer(name, max_batch=batch, parallel=parallel) for name in takes_s])
        self.load = Load(workers, [parallel] * len(takes_s))
        self.examined: list[tuple[str, float]] = []
        self.most_inside = 0
        self._idle = workers
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._rng = random.Random(3)  # noqa: S311 - not for secrets
        self._uneven = uneven
        for room_id, (interval_s, _) in rooms.items():
            self._at(self._rng.random() * interval_s, partial(self._publish, room_id, 0))

    def run(self, until_s: float) -> None:
        while self._events[0][0] <= until_s:
            self.now_s, _, happens = heapq.heappop(self._events)
            happens()
            self._go()

    def _at(self, at_s: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._numbers), happens))

    def _publish(self, room_id: str, seq: int) -> None:
        interval_s, priority = self.rooms[room_id]
        made = frame(seq, room_id=room_id, received_s=self.now_s, deadline_s=self.now_s + 2 * interval_s)
        self.box.put(Request(frame=made, interval_s=interval_s), interval_s, priority)
        self._at(self.now_s + interval_s, partial(self._publish, room_id, seq + 1))

    def _go(self) -> None:
        while len(self.made.inflight) < 4 and (asked := self.box.take(self.made.stay.most_s)) is not None:
            self.made.admit(asked, (), self.now_s)
        self.most_inside = max(self.most_inside, len(self.made.inflight))
        while self._idle and (batch := self.made.next_batch(self.now_s)) is not None:
            self._idle -= 1
            self._at(self.now_s + self._takes_s(batch), partial(self._end, batch))
        for one in told(self.made):
            if None in whys(one):
                self.examined.append((one.request.frame.room_id, self.now_s - one.request.frame.received_s))
        busy_s = self.made.busy_s(self.now_s)
        self.load.note(Totals(at_s=self.now_s, arrived=self.box.arrived(), admitted=self.made.admitted, busy_s=busy_s))

    def _takes_s(self, batch: Batch) -> float:
        """On the mean what was said. Uneven, most are a little shorter, and some three times as long: full of text."""
        share = self._rng.choice((0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.9, 1.4, 1.6, 2.3)) if self._uneven else 1.0
        return share * self.takes_s[batch.lane.name] * len(batch.frames)

    def _end(self, batch: Batch) -> None:
        self._idle += 1
        answer(self.made, batch, self.now_s)


@pytest.mark.parametrize("overload", [1.2, 2.0, 5.0])
def test_under_overload_rooms_become_sparser_alike_and_frames_do_not_age(overload: float) -> None:
    rooms = {f"r{at}": ((1.0, 2.0, 4.0)[at % 3], 0) for at in range(30)}
    each_s = overload / sum(1 / interval_s for interval_s, _ in rooms.values())
    sim = Simulation(rooms, 2, {"text": each_s, "skin": each_s})
    sim.run(100.0)
    counts = Counter(room_id for room_id, _ in sim.examined)
    for room_id, (interval_s, _) in rooms.items():
        assert abs(counts[room_id] - 100 / overload / interval_s) <= 2
    assert sim.most_inside <= 4
    assert sim.box.dropped.total() > 0
    # Received to examined: what a frame waits outside is bounded by its deadline, and inside by the few that are there.
    assert max(age_s / rooms[room_id][0] for room_id, age_s in sim.examined) < 2.2
    assert sim.load.saturation() == pytest.approx(overload, rel=0.1)


@pytest.mark.parametrize("slow", [0.5, 0.9])
def test_a_room_whose_frames_hardly_live_as_long_as_they_stay_is_examined_all_the_same(slow: float) -> None:
    sim = Simulation({"quick": (0.4, 0), "calm": (8.0, 0)}, 2, {"text": slow, "skin": slow / 2})
    sim.run(60.0)
    counts = Counter(room_id for room_id, _ in sim.examined)
    assert counts["calm"] >= 6
    assert counts["quick"] >= 20


def test_a_higher_priority_is_examined_in_full_while_the_others_lose() -> None:
    rooms = {f"r{at}": (2.0, int(at < 5)) for at in range(30)}
    sim = Simulation(rooms, 2, {"text": 0.2, "skin": 0.2})
    sim.run(60.0)
    counts = Counter(room_id for room_id, _ in sim.examined)
    assert all(counts[f"r{at}"] >= 28 for at in range(5))
    low = [counts[f"r{at}"] for at in range(5, 30)]
    assert max(low) - min(low) <= 1
    assert min(low) >= 5
    assert sum(low) < 25 * 12
    assert set(sim.box.dropped) <= {f"r{at}" for at in range(5, 30)}


def test_with_little_to_do_nothing_is_dropped_and_saturation_says_how_little() -> None:
    rooms = {f"r{at}": (2.0, 0) for at in range(5)}
    sim = Simulation(rooms, 2, {"text": 0.1, "skin": 0.05})
    sim.run(60.0)
    assert sim.box.dropped.total() == 0
    assert max(age_s for _, age_s in sim.examined) < 1.0
    assert sim.load.saturation() == pytest.approx(0.25, rel=0.25)  # 2.5 frames/s of 0.1 s in the dearer lane


@pytest.mark.parametrize("overload", [1.2, 2.0, 4.0])
def test_under_overload_hardly_any_frame_is_older_than_two_intervals_at_no_cost_in_frames(overload: float) -> None:
    takes_s = {"skin": 0.2, "text": 0.4}
    per_s = 2 / sum(takes_s.values())  # of two workers
    rooms = {f"r{at}": (2.0, 0) for at in range(round(overload * 2 * per_s))}
    sim = Simulation(rooms, 2, takes_s, uneven=True)
    sim.run(800.0)
    ages_s = sorted(age_s for _, age_s in sim.examined)
    assert ages_s[int(0.95 * len(ages_s))] < 3.7
    assert sum(age_s > 4.0 for age_s in ages_s) < 0.008 * len(ages_s)
    assert len(ages_s) > 0.98 * 800 * per_s
    counts = Counter(room_id for room_id, _ in sim.examined)
    assert max(counts.values()) - min(counts.values()) <= 2
