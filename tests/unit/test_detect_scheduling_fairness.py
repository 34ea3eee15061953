"""The order among rooms: under overload they become sparser alike, by priority, and nobody is owed for having slept."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.fairness import FairOrder


@dataclass(frozen=True)
class Publisher:
    """A room that has a frame every `interval_s`, wanted for two intervals, as in the mailbox."""

    interval_s: float
    phase: float = 0.0
    priority: int = 0


class Line:
    """One server, rooms that publish, and the order under test."""

    def __init__(self, rooms: list[Publisher]) -> None:
        self.order = FairOrder[int]()
        self.rooms = rooms
        self.queues: list[deque[float]] = [deque() for _ in rooms]
        self.next_s = [room.interval_s * room.phase for room in rooms]

    def serve(self, from_s: float, to_s: float, per_s: float) -> Counter[int]:
        """Serves so many frames per second, and counts them by room."""
        served = Counter[int]()
        for turn in range(int((to_s - from_s) * per_s)):
            self._arrive(from_s + turn / per_s)
            number = self.order.pop()
            if number is not None:
                served[number] += 1
                self.queues[number].popleft()
                self.order.charge(number, self.rooms[number].interval_s)
                if self.queues[number]:
                    self.order.wait(number, priority=self.rooms[number].priority)
        return served

    def _arrive(self, now_s: float) -> None:
        for number, room in enumerate(self.rooms):
            queue = self.queues[number]
            while self.next_s[number] <= now_s:
                queue.append(self.next_s[number] + 2 * room.interval_s)
                self.next_s[number] += room.interval_s
            while queue and queue[0] < now_s:
                queue.popleft()
            if queue:
                self.order.wait(number, priority=room.priority, deadline_s=queue[0])
            else:
                self.order.leave(number)


publishers = st.lists(
    st.builds(Publisher, st.sampled_from([0.5, 1.0, 1.3, 2.0, 3.7, 5.0]), st.floats(0.0, 0.99)),
    min_size=2,
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(publishers, st.floats(2.0, 5.0))
def test_under_overload_all_rooms_are_within_a_frame_of_their_fair_share(
    rooms: list[Publisher], overload: float
) -> None:
    per_s = sum(1 / room.interval_s for room in rooms) / overload
    line = Line(rooms)
    line.serve(0, 15, per_s)
    served = line.serve(15, 65, per_s)
    # There is an amount of service, in intervals, of which no room has had a frame more or less.
    least = max((served[number] - 1) * room.interval_s for number, room in enumerate(rooms))
    most = min((served[number] + 1) * room.interval_s for number, room in enumerate(rooms))
    assert least <= most + 1e-6


@settings(max_examples=100, deadline=None)
@given(publishers, publishers, st.floats(1.5, 4.0))
def test_a_higher_priority_loses_nothing_while_lower_ones_lose(
    high: list[Publisher], low: list[Publisher], overload: float
) -> None:
    urgent = [Publisher(room.interval_s, room.phase, 1) for room in high]
    wanted_per_s = sum(1 / room.interval_s for room in urgent)
    per_s = max(wanted_per_s * 1.5, sum(1 / room.interval_s for room in [*urgent, *low]) / overload)
    line = Line([*urgent, *low])
    line.serve(0, 10, per_s)
    served = line.serve(10, 40, per_s)
    for number, room in enumerate(urgent):
        assert abs(served[number] - 30 / room.interval_s) <= 2
    if per_s > wanted_per_s * 1.5:  # else nothing may be left for them
        assert sum(served[number] for number in range(len(high), len(high) + len(low))) > 0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300))
def test_an_idle_room_does_not_hoard_credit(slept: int) -> None:
    order = FairOrder[str]()
    for _ in range(slept):
        order.wait("busy")
        assert order.pop() == "busy"
        order.charge("busy", 1.0)
    order.wait("sleeper")
    order.wait("busy")
    turns = []
    for _ in range(20):
        key = order.pop()
        assert key is not None
        turns.append(key)
        order.charge(key, 1.0)
        order.wait(key)
    assert abs(turns.count("sleeper") - turns.count("busy")) <= 2
    assert turns[:4].count("busy") >= 1


def test_what_is_dropped_is_not_charged() -> None:
    order = FairOrder[str]()
    for _ in range(50):
        order.wait("dropped")
        order.leave("dropped")
        order.wait("gone")
        assert order.pop() == "gone"  # and there was nothing after all
    for key in ("served", "dropped", "gone"):
        order.wait(key)
    turns = [order.pop() for _ in range(3)]
    assert turns == ["served", "dropped", "gone"]


def test_what_is_served_is_charged_by_its_weight() -> None:
    order = FairOrder[str]()
    turns = []
    for _ in range(12):
        order.wait("slow")
        order.wait("fast")
        key = order.pop()
        assert key is not None
        turns.append(key)
        order.charge(key, {"slow": 3.0, "fast": 1.0}[key])
    assert Counter(turns) == {"slow": 3, "fast": 9}


def test_of_equals_the_earlier_deadline_goes_first() -> None:
    order = FairOrder[str]()
    for key, deadline_s in (("late", 9.0), ("early", 3.0), ("middle", 5.0)):
        order.wait(key, deadline_s=deadline_s)
    assert [order.pop() for _ in range(4)] == ["early", "middle", "late", None]


def test_a_changed_priority_holds_at_once() -> None:
    order = FairOrder[str]()
    order.wait("a")
    order.wait("b")
    order.wait("b", priority=2)
    assert len(order) == 2
    assert [order.pop(), order.pop(), order.pop()] == ["b", "a", None]


def test_memory_follows_those_that_wait() -> None:
    order = FairOrder[int]()
    for turn in range(20_000):
        oldest = turn // 20  # every room stays for 200 turns; ten are there at any time
        order.leave(oldest - 1)
        for room in range(oldest, oldest + 10):
            order.wait(room)
        key = order.pop()
        assert key is not None
        order.charge(key, 1.0)
    (level,) = order._levels.values()
    assert len(order) < 11
    assert max(len(level._heap), len(level._finish), len(level._entry)) < 150
