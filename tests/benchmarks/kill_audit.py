"""Holds what a consumer saw against what the engine noted as committed, and counts what is not as promised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Place = tuple[str, str, int]
"""Kind, room and owner epoch: within one, `seq` rises by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event, noted or seen. `kind` is `violation` or `stream`; of the latter `phase` and `incident_id` are empty.

    `content` is all that a consumer got of it, empty where it was only noted.
    """

    event_id: str
    kind: str
    room_id: str
    owner_epoch: int
    seq: int
    phase: str = ""
    incident_id: str = ""
    content: bytes = b""

    @property
    def place(self) -> Place:
        """What its `seq` counts within."""
        return (self.kind, self.room_id, self.owner_epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What came of it. All but the first three should be 0.

    A start is lost where it was noted, or the incident's end was seen, and it was not seen; an end where it was noted,
    or the incident's start was noted or seen: what has begun always ends. `gaps` are numbers that are missing between
    the first and last `seq` of an owner epoch, noted or not.
    """

    incidents: int
    events: int
    duplicates: int
    starts_lost: int
    ends_lost: int
    others_lost: int
    gaps: int
    out_of_order: int
    duplicate_ids_differ: int

    @property
    def broken(self) -> bool:
        """Whether any promise is."""
        return any((self.starts_lost, self.ends_lost, self.others_lost, self.gaps)) or any(
            (self.out_of_order, self.duplicate_ids_differ)
        )


def audit(noted: Sequence[Told], seen: Sequence[Told]) -> Audit:
    """`seen` is in the order of consumption, duplicates included; it holds whole rooms, each from its beginning."""
    first = list(_first_of_each(seen))
    started, ended = _incidents(first, "start"), _incidents(first, "end")
    ids = {told.event_id for told in first}
    others = {told.event_id for told in noted if told.phase not in {"start", "end"}}
    begun = _incidents(noted, "start") | started
    return Audit(
        incidents=len(begun),
        events=len(first),
        duplicates=len(seen) - len(first),
        starts_lost=len((begun | ended) - started),
        ends_lost=len((_incidents(noted, "end") | begun) - ended),
        others_lost=len(others - ids),
        gaps=_gaps(first),
        out_of_order=_out_of_order(first),
        duplicate_ids_differ=_told_otherwise(seen) + _told_twice(first),
    )


def _first_of_each(seen: Iterable[Told]) -> Iterator[Told]:
    """What a consumer that de-duplicates by id makes of it."""
    known: set[str] = set()
    for told in seen:
        if told.event_id not in known:
            known.add(told.event_id)
            yield told


def _incidents(events: Iterable[Told], phase: str) -> set[str]:
    return {told.incident_id for told in events if told.phase == phase}


def _gaps(first: Iterable[Told]) -> int:
    numbers: dict[Place, set[int]] = {}
    for told in first:
        numbers.setdefault(told.place, set()).add(told.seq)
    return sum(max(there) - min(there) + 1 - len(there) for there in numbers.values())


def _out_of_order(first: Iterable[Told]) -> int:
    """Events that come after one with a greater (epoch, seq), and whatever is told of an incident after its end."""
    last: dict[tuple[str, str], tuple[int, int]] = {}
    ended: set[str] = set()
    wrong = 0
    for told in first:
        at, before = (told.owner_epoch, told.seq), last.get((told.kind, told.room_id), (0, 0))
        wrong += at < before or told.incident_id in ended
        last[told.kind, told.room_id] = max(at, before)
        if told.phase == "end":
            ended.add(told.incident_id)
    return wrong


def _told_otherwise(seen: Iterable[Told]) -> int:
    """Ids that came again with something else in them."""
    contents: dict[str, set[bytes]] = {}
    for told in seen:
        contents.setdefault(told.event_id, set()).add(told.content)
    return sum(len(versions) > 1 for versions in contents.values())


def _told_twice(first: Iterable[Told]) -> int:
    """Numbers, and starts and ends of incidents, that came again with another id."""
    known: set[tuple[object, ...]] = set()
    twice = 0
    for told in first:
        names: list[tuple[object, ...]] = [(*told.place, told.seq)]
        if told.phase in {"start", "end"}:
            names.append((told.incident_id, told.phase))
        twice += any(name in known for name in names)
        known.update(names)
    return twice
