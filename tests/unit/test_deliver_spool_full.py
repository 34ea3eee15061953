"""A full spool lets go of updates first, then of stream events, never of starts and ends, and says how many."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.deliver.envelope import Envelope, Importance
from streammon.deliver.event_queue import size_bytes
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import IncidentRecord
from streammon.errors import SpoolError
from tests.unit.spooling import envelope, numbers

UPDATE, STREAM, KEPT = Importance.UPDATE, Importance.STREAM, Importance.KEPT
EACH = size_bytes(envelope(10))
"""What an event of two digits takes."""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[int], Outbox]]:
    made = []

    def outbox_for(events: int) -> Outbox:
        outbox = Outbox(tmp_path / "spool.db", max_bytes=events * EACH)
        outbox.register_sinks(["kafka"])
        made.append(outbox)
        return outbox

    yield outbox_for
    for outbox in made:
        outbox.close()


def test_the_oldest_updates_give_way_first(make: Callable[[int], Outbox]) -> None:
    outbox = make(4)
    for number, importance in ((10, STREAM), (11, UPDATE), (12, KEPT), (13, UPDATE), (14, KEPT), (15, UPDATE)):
        outbox.commit([envelope(number, importance)])

    assert numbers(outbox) == [10, 12, 14, 15]
    assert outbox.depth("kafka") == 4
    assert outbox.gave_way == {"update": 2, "stream": 0}


def test_stream_events_give_way_next_and_starts_and_ends_never(make: Callable[[int], Outbox]) -> None:
    outbox = make(3)
    outbox.commit([envelope(10, STREAM), envelope(11, UPDATE), envelope(12, STREAM)])
    outbox.commit([envelope(13), envelope(14)])
    assert numbers(outbox) == [12, 13, 14]
    outbox.commit([envelope(15)])

    with pytest.raises(SpoolError, match="is full"):
        outbox.commit([envelope(16)], incidents=[IncidentRecord(incident_id="i", room_id="r", state=b"{}")])

    assert numbers(outbox) == [13, 14, 15]
    assert outbox.open_incidents() == []
    assert outbox.gave_way == {"update": 1, "stream": 2}


def test_an_update_for_which_there_is_no_room_leaves_the_rest_of_its_commit(make: Callable[[int], Outbox]) -> None:
    outbox = make(2)
    outbox.commit([envelope(10), envelope(11)])
    outbox.commit([envelope(12, UPDATE)], incidents=[IncidentRecord(incident_id="i", room_id="r", state=b"{}")])

    assert numbers(outbox) == [10, 11]
    assert [record.incident_id for record in outbox.open_incidents()] == ["i"]
    assert outbox.wait_delivered("kafka", 0.0) is False
    outbox.acknowledge("kafka", outbox.pending("kafka", 2)[-1][0])
    assert outbox.wait_delivered("kafka", 0.0) is True


def test_what_was_taken_makes_room(make: Callable[[int], Outbox]) -> None:
    outbox = make(2)
    for number in range(10, 30):
        outbox.commit([envelope(number)])
        outbox.acknowledge("kafka", outbox.pending("kafka", 1)[0][0])

    assert outbox.gave_way == {"update": 0, "stream": 0}


def test_a_commit_that_is_larger_than_the_bound_is_taken_alone(make: Callable[[int], Outbox]) -> None:
    outbox = make(2)
    outbox.commit([envelope(number) for number in range(10, 15)])

    assert numbers(outbox) == [10, 11, 12, 13, 14]
    with pytest.raises(SpoolError, match="is full"):
        outbox.commit([envelope(15)])
    outbox.commit([envelope(16, UPDATE)])  # which only gives way
    outbox.commit([])


def test_it_is_said_once(make: Callable[[int], Outbox], caplog: pytest.LogCaptureFixture) -> None:
    outbox = make(1)
    with caplog.at_level(logging.WARNING):
        for number in range(10, 15):
            outbox.commit([envelope(number, UPDATE)])

    assert len(caplog.records) == 1


def test_the_work_of_a_commit_does_not_grow_with_what_is_spooled(tmp_path: Path) -> None:
    steps = [steps_of_a_full_commit(tmp_path / f"{spooled}.db", spooled) for spooled in (200, 4000)]

    assert steps[1] < steps[0] * 1.5


def steps_of_a_full_commit(path: Path, spooled: int) -> int:
    """How many steps SQLite's machine takes, in tens, where one update of so many events must give way."""
    events = [envelope(number + 100_000, UPDATE if number > spooled / 2 else KEPT) for number in range(spooled)]
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(Outbox(path, max_bytes=sum(map(size_bytes, events)))) as outbox:
        outbox.register_sinks(["kafka"])
        outbox.commit(events)
        with outbox._shared.reading() as db:
            db.set_progress_handler(step, 10)
            outbox.commit([envelope(200_000)])
            db.set_progress_handler(None, 10)
        assert outbox.gave_way == {"update": 1, "stream": 0}
    return steps


class Model:
    """What the outbox should hold, by the rule alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held: list[Envelope] = []

    def commit(self, events: list[Envelope]) -> bool:
        """False where it must be refused."""
        held = [*self.held, *events]
        for importance in (UPDATE, STREAM):
            while sum(map(size_bytes, held)) > self.limit:
                victim = next((event for event in held if event.importance is importance), None)
                if victim is None:
                    break
                held.remove(victim)
        kept = any(event.importance is KEPT for event in events)
        if kept and sum(map(size_bytes, held)) > max(self.limit, sum(map(size_bytes, events))):
            return False
        self.held = held
        return True


STEPS = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from(Importance), st.integers(0, 60)), max_size=4),
        st.tuples(st.sampled_from(["kafka", "jsonl"]), st.integers(1, 4)),
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, limit=st.integers(1, 8))
def test_depth_and_content_follow_the_rule_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[tuple[Importance, int]] | tuple[str, int]], limit: int
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.db"
    model, committed = Model(limit * EACH), 10
    taken = {"kafka": 0, "jsonl": 0}
    with closing(Outbox(path, max_bytes=limit * EACH)) as outbox:
        outbox.register_sinks(list(taken))
        for step in steps:
            if isinstance(step, tuple):
                sink, amount = step
                for position, sent in outbox.pending(sink, amount):
                    outbox.acknowledge(sink, position)
                    taken[sink] = int(sent.event_id.rpartition(":")[2])
                model.held = [event for event in model.held if number_of(event) > min(taken.values())]
            else:
                events = [
                    envelope(committed + index, importance, filler_bytes=filler)
                    for index, (importance, filler) in enumerate(step)
                ]
                committed += len(events)
                if model.commit(events):
                    outbox.commit(events)
                else:
                    with pytest.raises(SpoolError):
                        outbox.commit(events)
            for sink, last in taken.items():
                expected = [number_of(event) for event in model.held if number_of(event) > last]
                assert numbers(outbox, sink) == expected
                assert outbox.depth(sink) == len(expected)
    with closing(sqlite3.connect(path)) as db:
        (held_bytes,) = db.execute("SELECT value FROM facts WHERE name = 'events_bytes'").fetchone()
        assert held_bytes == sum(map(size_bytes, model.held))


def number_of(event: Envelope) -> int:
    return int(event.event_id.rpartition(":")[2])
