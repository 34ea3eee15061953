"""What a row of the table is: a source, what becomes of it, and which states a room that watches it must reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sample_streams.rtmp_server import Kind, RtmpServer
from streammon.entities import RoomState
from tests.faults.watch import Sighting


class Stage(Protocol):
    """A source that was set up for one row. `wrong` says what it saw that it must not have, None where nothing."""

    @property
    def url(self) -> str: ...

    def wrong(self) -> str | None: ...


StageT = TypeVar("StageT", bound=Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The room comes into a state, for this reason, within so many seconds."""

    state: RoomState
    reason: str | None = None
    within_s: float = 5.0

    def __str__(self) -> str:
        return self.state.value if self.reason is None else f"{self.state.value}/{self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Within so many seconds the room's samples since the phase began pass `test`, and no move is told meanwhile."""

    what: str
    test: Callable[[Sequence[Sighting]], bool]
    within_s: float = 5.0

    def __str__(self) -> str:
        return self.what


Expected = Reached | Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Generic[StageT]):
    """One row, in three phases: the room is added, the stage `breaks`, the stage `mends`.

    `first`, `broken` and `mended` are what must come in each phase, in order. In the first two nothing else may come in
    between but `connecting`; after the mending, tries that fail may. The room is removed when all has come: with the
    fault still there where nothing mends it. `server` is the one that the row's stage shares with others, so that they
    do not run at once.
    """

    name: str
    transport: str
    stage: Callable[[Servers], AbstractContextManager[StageT]]
    first: tuple[Expected, ...]
    breaks: Callable[[StageT], None] | None = None
    broken: tuple[Expected, ...] = ()
    mends: Callable[[StageT], None] | None = None
    mended: tuple[Expected, ...] = ()
    server: Kind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What rows share. Not the healthy rooms' server, which no fault touches."""

    nginx: RtmpServer
    node: RtmpServer


def prepared(
    stage: Callable[[Servers], AbstractContextManager[StageT]], act: Callable[[StageT], None]
) -> Callable[[Servers], AbstractContextManager[StageT]]:
    """A stage to which something has happened before the room comes."""

    @contextmanager
    def after(servers: Servers) -> Iterator[StageT]:
        with stage(servers) as made:
            act(made)
            yield made

    return after


def streaming(within_s: float = 6.0) -> Reached:
    return Reached(state=RoomState.STREAMING, within_s=within_s)


def backing_off(reason: str, within_s: float = 5.0) -> Reached:
    return Reached(state=RoomState.BACKING_OFF, reason=reason, within_s=within_s)


def stalled(within_s: float = 4.0) -> tuple[Reached, Reached]:
    """A stall is told, and the stream opened anew at once."""
    told = Reached(state=RoomState.STALLED, reason="stalled", within_s=within_s)
    return told, Reached(state=RoomState.CONNECTING, within_s=1.0)


def goes_on(samples: int = 4, within_s: float = 6.0) -> Seen:
    """The stream is watched on in the same session."""
    return Seen(what=f"{samples} samples", test=lambda seen: len(seen) >= samples, within_s=within_s)


def ended() -> Reached:
    return Reached(state=RoomState.ENDED, reason="end_of_stream")


def sized(width: int, height: int, within_s: float = 6.0) -> Seen:
    """Pictures of another size come."""
    return Seen(
        what=f"{width}x{height}",
        test=lambda seen: any((one.width, one.height) == (width, height) for one in seen),
        within_s=within_s,
    )


CONNECTING = Reached(state=RoomState.CONNECTING)
FLOWING = (streaming(), goes_on(2))
"""The room is watched, and pictures have come."""
BACK = (streaming(10.0), goes_on())
"""It is watched again."""
