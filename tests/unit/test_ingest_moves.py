"""The table of moves: every state can be reached and left but the final two, and nothing leads out of those."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.entities import RoomState
from streammon.ingest.moves import FINAL, MOVES, allowed

S = RoomState


def reachable(start: RoomState | None) -> set[RoomState]:
    """Every state that a room may come to from this one."""
    found: set[RoomState] = set()
    left = [start]
    while left:
        new = MOVES[left.pop()] - found
        found |= new
        left += new
    return found


def test_the_table_has_a_row_for_every_state_and_for_a_new_room() -> None:
    assert set(MOVES) == {None, *RoomState}


def test_a_new_room_can_come_to_every_state() -> None:
    assert reachable(None) == set(RoomState)


def test_nothing_leads_out_of_a_final_state() -> None:
    assert {S.FAILED, S.STOPPED} == FINAL
    for state in FINAL:
        assert MOVES[state] == frozenset()


@pytest.mark.parametrize("state", sorted(set(RoomState) - FINAL))
def test_every_other_state_can_be_stopped_and_can_come_to_stream_again(state: RoomState) -> None:
    assert allowed(state, S.STOPPED)
    assert S.STREAMING in reachable(state)


def test_a_room_is_quarantined_only_after_its_process_was_lost() -> None:
    assert [state for state in MOVES if S.QUARANTINED in MOVES[state]] == [S.BACKING_OFF]


def test_only_what_streamed_can_stall() -> None:
    assert [state for state in MOVES if S.STALLED in MOVES[state]] == [S.STREAMING]


@pytest.mark.parametrize(
    "path",
    [
        (None, S.CONNECTING, S.STREAMING, S.ENDED, S.STOPPED),
        (None, S.STOPPED),
        (None, S.CONNECTING, S.ENDED, S.STREAMING, S.ENDED, S.BACKING_OFF, S.CONNECTING),
        (None, S.CONNECTING, S.STREAMING, S.STALLED, S.CONNECTING, S.BACKING_OFF, S.CONNECTING),
        (None, S.CONNECTING, S.STREAMING, S.STALLED, S.BACKING_OFF, S.BACKING_OFF, S.CONNECTING, S.FAILED),
        (None, S.CONNECTING, S.STREAMING, S.CONNECTING, S.STREAMING),
        (None, S.CONNECTING, S.BACKING_OFF, S.QUARANTINED, S.CONNECTING, S.BACKING_OFF, S.QUARANTINED, S.STOPPED),
        (None, S.BACKING_OFF, S.CONNECTING),
        (None, S.CONNECTING, S.BACKING_OFF, S.QUARANTINED, S.BACKING_OFF, S.QUARANTINED),
    ],
    ids=["a file", "stopped at once", "a publisher that comes and goes", "a stall", "a hung thread", "moved",
         "a stream that kills", "lost before it began", "lost again before it began"],
)  # fmt: skip
def test_what_becomes_of_rooms_is_allowed(path: tuple[RoomState | None, ...]) -> None:
    for before, after in pairwise(path):
        assert after is not None
        assert allowed(before, after), f"{before} -> {after}"


@given(st.lists(st.sampled_from(RoomState), max_size=40))
def test_however_it_walks_a_room_that_is_final_stays_so(wishes: list[RoomState]) -> None:
    state: RoomState | None = None
    ended_in: RoomState | None = None
    for wish in wishes:
        if allowed(state, wish):
            assert ended_in is None
            assert not (wish is S.STREAMING and state not in {S.CONNECTING, S.ENDED})
            state = wish
            ended_in = wish if wish in FINAL else None
