"""The outbox keeps what was committed, in order, through crashes and restarts, and forgets what everybody has."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.deliver.envelope import Envelope
from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord, IncidentRecord
from streammon.deliver.spool import Spool
from streammon.deliver.spool_migrations import VERSION
from streammon.errors import SpoolError

KILLED_WRITER = """
import sys
from pathlib import Path
from streammon.deliver.envelope import Envelope
from streammon.deliver.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]))
for number in range(10_000):
    outbox.commit([Envelope(event_id=str(number), type="t", source="s", subject="r", time="", dataschema="d",
                            topic="t", key="r", value=b"{}")])
    print(number, flush=True)
"""


def envelope(number: int) -> Envelope:
    return Envelope(
        event_id=f"incident:{number}",
        type="streammon.violation.v1",
        source="/streammon/w",
        subject="room",
        time="2025-03-04T05:06:07Z",
        dataschema="urn:streammon:schema:violation.v1",
        topic="streammon.violations",
        key="room",
        value=b'{"seq":%d}' % number,
    )


def picture(key: str) -> EvidenceRecord:
    return EvidenceRecord(key=key, sha256="ab", jpeg=b"\xff\xd8" + key.encode(), room_id="room", incident_id="i")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path)
    yield opened
    opened.close()


def ids(outbox: Outbox, sink: str = "kafka") -> list[str]:
    return [taken.event_id for _, taken in outbox.pending(sink, 10_000)]


def test_events_come_back_whole_and_in_order(outbox: Outbox) -> None:
    outbox.register_sinks(["kafka"])
    events = [envelope(number) for number in range(5)]
    outbox.commit(events[:2])
    outbox.commit(events[2:])

    pending = outbox.pending("kafka", 4)

    assert [taken for _, taken in pending] == events[:4]
    assert [position for position, _ in pending] == sorted(position for position, _ in pending)


def test_a_commit_is_all_or_nothing(path: Path, outbox: Outbox) -> None:
    outbox.register_sinks(["kafka"])
    nothing: str = None  # type: ignore[assignment]
    broken = EvidenceRecord(key="k", sha256=nothing, jpeg=b"", room_id="room", incident_id="i")
    open_incident = IncidentRecord(incident_id="i", room_id="room", state=b"s")

    with pytest.raises(SpoolError):
        outbox.commit([envelope(1)], incidents=[open_incident], evidence=[picture("p"), broken])

    assert (ids(outbox), outbox.open_incidents(), outbox.pending_evidence(9)) == ([], [], [])
    outbox.commit([envelope(2)])
    assert ids(outbox) == ["incident:2"]
    assert outbox.depth("kafka") == 1


def test_each_sink_has_its_own_place(outbox: Outbox) -> None:
    outbox.register_sinks(["kafka", "jsonl"])
    outbox.commit([envelope(number) for number in range(3)])
    outbox.acknowledge("kafka", outbox.pending("kafka", 2)[-1][0])

    assert ids(outbox, "kafka") == ["incident:2"]
    assert len(ids(outbox, "jsonl")) == 3
    assert (outbox.depth("kafka"), outbox.depth("jsonl")) == (1, 3)


def test_an_older_acknowledgement_does_not_take_a_sink_back(outbox: Outbox) -> None:
    outbox.register_sinks(["kafka", "jsonl"])
    outbox.commit([envelope(1), envelope(2)])
    (first, _), (second, _) = outbox.pending("kafka", 2)
    outbox.acknowledge("kafka", second)
    outbox.acknowledge("kafka", first)

    assert ids(outbox) == []


def test_what_all_sinks_have_is_deleted(path: Path, outbox: Outbox) -> None:
    outbox.register_sinks(["kafka", "jsonl"])
    outbox.commit([envelope(1), envelope(2)])
    last = outbox.pending("kafka", 2)[-1][0]
    outbox.acknowledge("kafka", last)
    outbox.acknowledge("jsonl", last - 1)
    outbox.close()

    with sqlite3.connect(path) as db:
        assert db.execute("SELECT event_id FROM events").fetchall() == [("incident:2",)]
    db.close()


def test_a_sink_no_longer_configured_keeps_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Outbox(path)
    first.register_sinks(["kafka", "jsonl"])
    first.commit([envelope(1), envelope(2)])
    first.acknowledge("kafka", first.pending("kafka", 2)[-1][0])
    first.close()

    with caplog.at_level(logging.WARNING):
        second = Outbox(path)
        second.register_sinks(["kafka"])
    second.close()

    assert "sink jsonl is no longer configured: gave up 2 events" in caplog.text
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
    db.close()


def test_a_new_sink_gets_all_that_is_still_kept(outbox: Outbox) -> None:
    outbox.register_sinks(["kafka"])
    outbox.commit([envelope(number) for number in range(3)])
    outbox.acknowledge("kafka", outbox.pending("kafka", 1)[-1][0])

    outbox.register_sinks(["kafka", "jsonl"])

    assert ids(outbox, "jsonl") == ids(outbox, "kafka") == ["incident:1", "incident:2"]
    assert outbox.depth("jsonl") == 2


def test_what_is_committed_before_any_sink_is_kept(outbox: Outbox) -> None:
    outbox.commit([envelope(1)])
    outbox.register_sinks(["kafka"])

    assert ids(outbox) == ["incident:1"]


def test_sinks_must_be_named_and_known(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="without a sink"):
        outbox.register_sinks([])
    with pytest.raises(KeyError, match="webhook"):
        outbox.pending("webhook", 1)


def test_age_is_that_of_the_sinks_next_event(path: Path) -> None:
    now_s = 1000.0
    outbox = Outbox(path, clock=lambda: now_s)
    outbox.register_sinks(["kafka"])
    assert outbox.oldest_age_s("kafka") is None
    outbox.commit([envelope(1)])
    now_s = 1007.5
    outbox.commit([envelope(2)])

    assert outbox.oldest_age_s("kafka") == 7.5
    outbox.acknowledge("kafka", outbox.pending("kafka", 1)[0][0])
    assert outbox.oldest_age_s("kafka") == 0.0
    outbox.close()


def test_open_incidents_are_there_for_a_successor(path: Path) -> None:
    first = Outbox(path)
    first.commit([], incidents=[IncidentRecord(incident_id=name, room_id="room", state=b"1") for name in "ab"])
    first.commit([], incidents=[IncidentRecord(incident_id="a", room_id="room", state=b"2")])
    first.commit([], incidents=[IncidentRecord(incident_id="b", room_id="room", state=None)])
    first.close()

    second = Outbox(path)
    assert second.open_incidents() == [IncidentRecord(incident_id="a", room_id="room", state=b"2")]
    second.close()


def test_an_incident_that_starts_and_ends_in_one_commit_is_not_left_open(outbox: Outbox) -> None:
    started, ended = (IncidentRecord(incident_id="a", room_id="room", state=state) for state in (b"1", None))
    outbox.commit([], incidents=[started, ended])

    assert outbox.open_incidents() == []


def test_every_commit_is_flushed_to_the_disk_whatever_was_written_before_it(path: Path) -> None:
    """https://sqlite.org/pragma.html#pragma_synchronous: 1 is NORMAL, 2 FULL."""
    spool = Spool(path)
    levels = []
    for durable in (True, False, False, True, True, False):
        with spool.transaction(durable=durable) as db:
            levels.append(db.execute("PRAGMA synchronous").fetchone()[0])
    spool.close()

    assert levels == [2, 1, 1, 2, 2, 1]


def test_pictures_wait_until_they_are_done(outbox: Outbox) -> None:
    outbox.commit([], evidence=[picture("room/1.jpg"), picture("room/2.jpg")])
    outbox.commit([], evidence=[picture("room/1.jpg")])

    assert outbox.pending_evidence(9) == [picture("room/1.jpg"), picture("room/2.jpg")]
    outbox.evidence_stored("room/1.jpg", [], [])
    assert outbox.pending_evidence(9) == [picture("room/2.jpg")]
    assert outbox.evidence_depth() == 1


def test_epochs_grow_over_restarts(path: Path) -> None:
    first = Outbox(path)
    epochs = [first.next_epoch("a"), first.next_epoch("a")]
    other = first.next_epoch("b")
    first.close()
    second = Outbox(path)
    epochs.append(second.next_epoch("a"))
    second.close()

    assert epochs == [epochs[0], epochs[0] + 1, epochs[0] + 2]
    assert other == epochs[0]


def test_epochs_of_a_new_file_begin_above_those_of_any_that_is_lost(path: Path) -> None:
    years_since_2020 = 6
    outbox = Outbox(path)

    assert outbox.next_epoch("a") > years_since_2020 * 365 * 86400
    outbox.close()


def test_a_waiter_wakes_at_a_commit_and_misses_none(outbox: Outbox) -> None:
    version = outbox.version
    waiter = threading.Thread(target=outbox.wait, args=(version, 60.0))
    waiter.start()
    outbox.commit([envelope(1)])
    waiter.join(10)

    assert not waiter.is_alive()
    outbox.wait(version, 60.0)  # committed before the call: returns at once, or the test times out


def test_spool_is_for_its_owner_only(path: Path, outbox: Outbox) -> None:
    outbox.commit([envelope(1)])

    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


def test_closing_twice_is_fine_and_using_it_after_is_an_error(outbox: Outbox) -> None:
    outbox.close()
    outbox.close()

    with pytest.raises(SpoolError):
        outbox.commit([envelope(1)])


def test_another_programs_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE events (name TEXT)")
    db.close()

    with pytest.raises(SpoolError, match="another program's database"):
        Outbox(path)


def test_a_newer_spool_is_refused(path: Path) -> None:
    Outbox(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()

    with pytest.raises(SpoolError, match=f"has version {VERSION + 1}, this streammon knows {VERSION}: run the newer"):
        Outbox(path)


def test_a_spool_belongs_to_one_process(path: Path, outbox: Outbox) -> None:
    with pytest.raises(SpoolError, match="a spool of its own"):
        Outbox(path)


def test_a_folder_that_cannot_be_made_is_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    with pytest.raises(SpoolError, match="make the file and its folder writable"):
        Outbox(tmp_path / "state" / "spool.db")


def test_a_killed_process_loses_nothing_committed(path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(50):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        reported = 50 + len(writer.stdout.read().splitlines())

    outbox = Outbox(path)
    outbox.register_sinks(["kafka"])
    survived = [int(number) for number in ids(outbox)]
    outbox.close()

    assert survived == list(range(len(survived)))
    assert len(survived) in (reported, reported + 1)  # killed between the commit and saying so


class Model:
    """What the outbox should hold: all events ever committed, and how many of them each sink has."""

    def __init__(self) -> None:
        self.committed: list[str] = []
        self.taken = {"kafka": 0, "jsonl": 0}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(0, 4)),
        st.tuples(st.sampled_from(["kafka", "jsonl"]), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None)
@given(steps=STEPS)
def test_order_and_ids_hold_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "spool.db"
    outbox, model = Outbox(path), Model()
    outbox.register_sinks(["kafka", "jsonl"])
    for action, amount in steps:
        if action == "commit":
            events = [envelope(len(model.committed) + number) for number in range(amount)]
            outbox.commit(events)
            model.committed += [event.event_id for event in events]
        elif action == "restart":
            outbox.close()
            outbox = Outbox(path)
            outbox.register_sinks(["kafka", "jsonl"])
        elif batch := outbox.pending(action, amount):
            outbox.acknowledge(action, batch[-1][0])
            model.taken[action] += len(batch)
        for sink, taken in model.taken.items():
            assert ids(outbox, sink) == model.committed[taken:]
            assert outbox.depth(sink) == len(model.committed) - taken
    outbox.close()
