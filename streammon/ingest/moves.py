"""The one table of what a room's connection may become. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from streammon.entities import RoomState

_ANY_TIME = frozenset({RoomState.BACKING_OFF, RoomState.FAILED, RoomState.STOPPED})

FINAL = frozenset({RoomState.FAILED, RoomState.STOPPED})
"""A room in one of these is no longer watched."""

MOVES: Mapping[RoomState | None, frozenset[RoomState]] = {
    None: frozenset({RoomState.CONNECTING, RoomState.BACKING_OFF, RoomState.STOPPED}),
    RoomState.CONNECTING: _ANY_TIME | {RoomState.STREAMING, RoomState.ENDED},
    RoomState.STREAMING: _ANY_TIME | {RoomState.CONNECTING, RoomState.STALLED, RoomState.ENDED},
    RoomState.STALLED: _ANY_TIME | {RoomState.CONNECTING},
    RoomState.BACKING_OFF: _ANY_TIME | {RoomState.CONNECTING, RoomState.QUARANTINED},
    RoomState.ENDED: _ANY_TIME | {RoomState.CONNECTING, RoomState.STREAMING},
    RoomState.QUARANTINED: frozenset({RoomState.CONNECTING, RoomState.BACKING_OFF, RoomState.STOPPED}),
    RoomState.FAILED: frozenset(),
    RoomState.STOPPED: frozenset(),
}
"""From each state (None: the room is new) to those that may follow it.

A streaming room goes to `connecting` where it is moved to another ingest process. `ended` goes straight to `streaming`
where the publisher is back, since the looks at it in between are not worth an event. `backing_off` follows any
that is not final, itself included, where the process is lost before the room has begun or while it waits.
"""


def allowed(before: RoomState | None, after: RoomState) -> bool:
    """Whether a room may go from `before` to `after`."""
    return after in MOVES[before]
