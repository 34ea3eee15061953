"""The book of slots: whatever rooms come, go and write, no slot is in two hands and none is lost."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streammon.ingest.rooms.slots import SlotBook

SLOTS, PER_ROOM = 12, 3
ROOMS = ("a", "b", "c", "d", "e")


def test_a_room_gets_slots_of_its_own_and_gives_them_back() -> None:
    book = SlotBook(4)
    mine, other = book.give("r", 2), book.give("s", 2)
    assert sorted(mine + other) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="no place"):
        book.give("t", 1)
    book.take_back("r")
    assert sorted(book.give("t", 2)) == sorted(mine)


def test_a_slot_that_is_read_when_its_room_goes_is_free_only_when_it_has_been_read() -> None:
    book = SlotBook(2)
    first, second = book.give("r", 2)
    assert book.lend("r", first)
    book.take_back("r")
    with pytest.raises(ValueError, match="no place"):
        book.give("s", 2)
    assert book.give("s", 1) == [second]
    book.settle(first)
    assert book.give("t", 1) == [first]


def test_what_is_not_a_room_s_to_fill_is_refused() -> None:
    book = SlotBook(4)
    (own,) = book.give("r", 1)
    (other,) = book.give("s", 1)
    assert not book.lend("r", other)
    assert not book.lend("nobody", own)
    assert not book.lend("r", 99)
    assert book.lend("r", own)
    assert not book.lend("r", own), "the engine has it"


def test_a_slot_of_a_room_that_came_again_meanwhile_is_nobody_s_until_it_is_given() -> None:
    book = SlotBook(2)
    (old,) = book.give("r", 1)
    book.lend("r", old)
    book.take_back("r")
    (new,) = book.give("r", 1)
    book.settle(old)
    assert not book.lend("r", old)
    assert book.lend("r", new)
    assert book.give("s", 1) == [old]


class Book(RuleBasedStateMachine):
    """A book beside the plainest record of who has what."""

    def __init__(self) -> None:
        super().__init__()
        self.book = SlotBook(SLOTS)
        self.own: dict[str, list[int]] = {}
        self.lent: list[int] = []
        self.orphans: set[int] = set()

    @rule(room=st.sampled_from(ROOMS))
    def give(self, room: str) -> None:
        if room in self.own:
            return
        taken = {slot for slots in self.own.values() for slot in slots} | self.orphans
        if SLOTS - len(taken) < PER_ROOM:
            with pytest.raises(ValueError, match="no place"):
                self.book.give(room, PER_ROOM)
            return
        slots = self.book.give(room, PER_ROOM)
        assert len(set(slots)) == PER_ROOM
        assert taken.isdisjoint(slots)
        assert set(slots) <= set(range(SLOTS))
        self.own[room] = slots

    @rule(room=st.sampled_from(ROOMS), slot=st.integers(-1, SLOTS))
    def lend(self, room: str, slot: int) -> None:
        fair = slot in self.own.get(room, []) and slot not in self.lent
        assert self.book.lend(room, slot) is fair
        self.lent += [slot] if fair else []

    @precondition(lambda self: self.lent)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(self.lent))
        self.book.settle(slot)
        self.lent.remove(slot)
        self.orphans.discard(slot)

    @precondition(lambda self: self.own)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        room = data.draw(st.sampled_from(sorted(self.own)))
        self.book.take_back(room)
        self.orphans |= {slot for slot in self.own.pop(room) if slot in self.lent}

    @invariant()
    def knows_its_rooms(self) -> None:
        assert [room for room in ROOMS if self.book.knows(room)] == [room for room in ROOMS if room in self.own]

    def teardown(self) -> None:
        for slot in self.lent:
            self.book.settle(slot)
        for room in self.own:
            self.book.take_back(room)
        assert sorted(self.book.give("all", SLOTS)) == list(range(SLOTS)), "none is lost"


Book.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
test_however_rooms_come_and_go = Book.TestCase
