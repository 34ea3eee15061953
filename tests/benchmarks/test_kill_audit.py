"""The audit of `bench_kill.py` finds each way in which a promise can be broken."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streammon.deliver.envelope import Envelope
from streammon.entities import RoomState
from streammon.events import Monitor, StreamEvent
from tests.benchmarks import killed_rooms
from tests.benchmarks.kill_audit import Audit, Told, audit
from tests.benchmarks.killed_engine import noted


def told(incident: str, phase: str, seq: int, *, epoch: int = 1, event_id: str = "", content: bytes = b"") -> Told:
    return Told(
        event_id=event_id or f"{incident}:{seq}",
        kind="violation",
        room_id="room",
        owner_epoch=epoch,
        seq=seq,
        phase=phase,
        incident_id=incident,
        content=content,
    )


A1, A2, A3 = told("a", "start", 1), told("a", "update", 2), told("a", "end", 3)
B4, B5 = told("b", "start", 4), told("b", "end", 5, epoch=2)
ALL = [A1, A2, A3, B4, B5]


def broken(found: Audit) -> dict[str, int]:
    """What is not 0 and should be."""
    fine = {"incidents", "events", "duplicates"}
    return {name: count for name, count in asdict(found).items() if count and name not in fine}


def test_what_comes_again_with_the_same_id_breaks_nothing() -> None:
    found = audit(ALL, [A1, A2, A1, A2, A3, B4, B5, B4, B5])

    assert not found.broken
    assert (found.incidents, found.events, found.duplicates) == (2, 5, 4)


def test_what_was_committed_but_not_noted_may_be_seen() -> None:
    assert not audit(ALL[:2], ALL).broken


@pytest.mark.parametrize(
    ("noted_events", "seen", "expected"),
    [
        (ALL, [A2, A3, B4, B5], {"starts_lost": 1}),
        ([], [A2, A3, B4, B5], {"starts_lost": 1}),
        (ALL, [A1, A2, A3, B4], {"ends_lost": 1}),
        ([], [A1, A2, A3, B4], {"ends_lost": 1}),
        (ALL[:3], [], {"starts_lost": 1, "ends_lost": 1, "others_lost": 1}),
        (ALL, [A1, A3, B4, B5], {"others_lost": 1, "gaps": 1}),
        ([], [A1, A3, B4, B5], {"gaps": 1}),
        (ALL, [A1, A3, A2, B4, B5], {"out_of_order": 1}),
        (ALL, [A1, A2, A3, B5, B4], {"out_of_order": 1}),
        (ALL, [*ALL, told("a", "start", 1, content=b"other")], {"duplicate_ids_differ": 1}),
        (ALL, [*ALL, told("b", "end", 6, epoch=2)], {"out_of_order": 1, "duplicate_ids_differ": 1}),
        (ALL, [A1, told("a", "update", 1, event_id="x"), *ALL[1:]], {"duplicate_ids_differ": 1}),
    ],
)
def test_what_is_not_as_promised_is_counted(
    noted_events: list[Told], seen: list[Told], expected: dict[str, int]
) -> None:
    found = audit(noted_events, seen)

    assert broken(found) == expected
    assert found.broken


def test_rooms_and_kinds_are_numbered_apart() -> None:
    stream = Told(event_id="room:1:1", kind="stream", room_id="room", owner_epoch=1, seq=1)
    other = Told(event_id="other:1:1", kind="stream", room_id="other", owner_epoch=1, seq=1)

    assert not audit([], [A1, stream, A2, other, A3]).broken


def test_a_line_that_was_cut_short_is_not_a_note(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    line = json.dumps({name: value for name, value in asdict(A1).items() if name != "content"})
    notes.write_text(f"{line}\n{line[:20]}", encoding="utf-8")

    assert list(noted(notes)) == [A1]


def test_of_a_run_what_its_file_got_whole_is_noted(tmp_path: Path) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    event = StreamEvent(
        room_id="room",
        tenant="default",
        passthrough={},
        owner_epoch=3,
        seq=7,
        session=1,
        state=RoomState.STREAMING,
        previous_state=None,
        reason=None,
        at=at,
        monitor=Monitor(version="1", worker="w"),
    )
    line = Envelope.of(event).structured()
    other = line.replace(b"streammon.stream.v1", b"streammon.audit.v1")
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([line, line[:40], other]))

    assert killed_rooms.noted(tmp_path) == [
        Told(event_id=event.event_id, kind="stream", room_id="room", owner_epoch=3, seq=7)
    ]
