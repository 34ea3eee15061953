"""A damaged spool is set aside, what is readable saved, and work goes on in a new one, with greater epochs."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path
from shutil import copy

import pytest

from streammon.deliver.outbox import Outbox
from streammon.deliver.records import EvidenceRecord, IncidentRecord
from streammon.deliver.spool_rescue import set_aside
from streammon.errors import SpoolError
from tests.unit.spooling import envelope, numbers

AT_S = 1795418100.0
ASIDE = "spool.db.corrupt-20261123T071500Z"
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


def opened(path: Path) -> Outbox:
    outbox = Outbox(path, clock=lambda: AT_S)
    outbox.register_sinks(["kafka"])
    return outbox


def incident(name: str) -> IncidentRecord:
    return IncidentRecord(incident_id=name, room_id="room", state=b'{"open":true}')


def picture(key: str, jpeg: bytes = b"\xff\xd8") -> EvidenceRecord:
    return EvidenceRecord(key=key, sha256=hashlib.sha256(jpeg).hexdigest(), jpeg=jpeg, room_id="room", incident_id="i")


def filled(path: Path, events: int = 400) -> int:
    """A closed spool with events, an open incident, a picture; the epoch of its room."""
    with closing(opened(path)) as outbox:
        epoch = outbox.next_epoch("room")
        for first in range(0, events, 50):
            outbox.commit([envelope(number, filler_bytes=300) for number in range(first, first + 50)])
        outbox.commit([], incidents=[incident("a")], evidence=[picture("p")])
    return epoch


def overwrite(path: Path, page: int, pages: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5" * PAGE * pages)


def event_pages(path: Path) -> list[int]:
    """The pages, from 0, that hold events."""
    content = path.read_bytes()
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    return [number for number, page in enumerate(pages) if number > 0 and page.count(b'{"seq":') > 2]


def test_a_file_that_is_no_database_is_set_aside_untouched(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(b"these are a user's notes\n" * 1000)

    with caplog.at_level(logging.ERROR), closing(opened(path)) as outbox:
        outbox.commit([envelope(1)])
        found = outbox.set_aside

    assert (path.parent / ASIDE).read_bytes() == b"these are a user's notes\n" * 1000
    assert found is not None
    assert (found.path, found.whole) == (path.parent / ASIDE, False)
    assert ASIDE in caplog.text
    assert "not all that it held" in caplog.text


def test_what_belongs_to_a_file_goes_with_it(path: Path) -> None:
    path.parent.mkdir()
    names = ("spool.db", "spool.db-wal", "spool.db-shm")
    for name in names:
        path.with_name(name).write_text(name)

    assert set_aside(path, AT_S) == path.with_name(ASIDE)
    left = {file.name: file.read_text() for file in path.parent.iterdir()}
    assert left == {name.replace("spool.db", ASIDE): name for name in names}


def test_two_within_a_second_do_not_overwrite_each_other(path: Path) -> None:
    path.parent.mkdir()
    for content in (b"one" * 100, b"two" * 100):
        path.write_bytes(content)
        opened(path).close()

    assert [file.read_bytes()[:3] for file in sorted(path.parent.glob("*corrupt*"))] == [b"one", b"two"]


def test_what_a_hole_leaves_of_the_events_is_saved(path: Path) -> None:
    epoch = filled(path)
    pages = event_pages(path)
    overwrite(path, pages[len(pages) // 2])

    with closing(opened(path)) as outbox:
        with pytest.raises(SpoolError, match="a new one is begun"):
            outbox.pending("kafka", 10_000)
        left = numbers(outbox)
        found = outbox.set_aside
        assert outbox.depth("kafka") == len(left)
        assert outbox.open_incidents() == [incident("a")]
        assert outbox.pending_evidence(9) == [picture("p")]
        assert outbox.next_epoch("room") > epoch
        outbox.commit([envelope(400)])
        assert numbers(outbox) == [*left, 400]

    assert left == sorted(left)
    assert {0, 399} <= set(left)
    assert 360 <= len(left) < 400
    assert found is not None
    assert (found.saved["events"], found.whole) == (len(left), False)


def test_damage_in_what_every_run_reads_shows_at_the_start(path: Path) -> None:
    epoch = filled(path)
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'rooms'").fetchone()
    overwrite(path, page - 1)

    with closing(opened(path)) as outbox:
        assert outbox.set_aside is not None
        assert numbers(outbox) == list(range(400))
        assert outbox.next_epoch("room") > epoch


def test_nothing_left_is_said(path: Path) -> None:
    epoch = filled(path)
    overwrite(path, 1, pages=path.stat().st_size // PAGE - 1)

    with closing(opened(path)) as outbox:
        assert numbers(outbox) == []
        assert outbox.next_epoch("room") >= epoch
        assert outbox.set_aside is not None
        assert set(outbox.set_aside.saved.values()) == {0}


@pytest.mark.parametrize(
    "call",
    [
        lambda outbox: outbox.commit([envelope(1000, filler_bytes=300) for _ in range(100)]),
        lambda outbox: outbox.acknowledge("kafka", 390),
        lambda outbox: outbox.wait_delivered("kafka", 0.0),
        lambda outbox: outbox.pending("kafka", 10_000),
    ],
)
def test_damage_in_mid_run_costs_one_error_and_what_is_known_by_heart_survives(
    path: Path, call: Callable[[Outbox], object]
) -> None:
    filled(path)
    with closing(opened(path)) as outbox:
        outbox.commit(
            [envelope(401)], incidents=[incident("b"), IncidentRecord(incident_id="a", room_id="room", state=None)]
        )
        last = outbox.pending("kafka", 10_000)[-1][0]
        break_while_open(outbox, path)
        with pytest.raises(SpoolError, match="a new one is begun"):
            call(outbox)
        call(outbox)

        assert outbox.open_incidents() == [incident("b")]
        outbox.acknowledge("kafka", last)  # by a deliverer that had them from the old file
        outbox.commit([envelope(2000)])
        assert numbers(outbox)[-1] == 2000


def break_while_open(outbox: Outbox, path: Path) -> None:
    """All pages but the first, below SQLite's cache, which is emptied."""
    with outbox._shared.reading() as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        overwrite(path, 1, pages=path.stat().st_size // PAGE - 1)
        db.execute("PRAGMA shrink_memory")


def test_in_mid_run_the_judges_word_counts_more_than_the_old_file(path: Path) -> None:
    filled(path)
    with closing(opened(path)) as outbox:
        outbox.commit([], incidents=[incident("b")])
        with outbox._shared.writing() as db:  # as an old page would, that came back
            db.execute("INSERT INTO incidents VALUES ('ended', 'room', CAST('{}' AS BLOB))")
            db.execute("UPDATE incidents SET state = CAST('{}' AS BLOB) WHERE incident_id = 'b'")
        pages = event_pages(path)
        with outbox._shared.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            overwrite(path, pages[len(pages) // 2])
            db.execute("PRAGMA shrink_memory")
        with pytest.raises(SpoolError, match="a new one is begun"):
            outbox.pending("kafka", 10_000)

        assert outbox.open_incidents() == [incident("a"), incident("b")]
        assert {0, 399} <= set(numbers(outbox))


def test_a_log_that_a_crash_left_goes_with_its_file_and_is_read(path: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed" / "spool.db"
    headless = crashed.with_name("headless.db")
    crashed.parent.mkdir()
    with closing(opened(path)) as outbox:
        outbox.commit([envelope(1)])
        with outbox._shared.reading() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'rooms'").fetchone()
        outbox.commit([envelope(2)])
        for suffix, copied in product(("", "-wal"), (crashed, headless)):
            copy(f"{path}{suffix}", f"{copied}{suffix}")
    overwrite(crashed, page - 1)
    overwrite(headless, 0)

    with closing(opened(crashed)) as outbox:
        assert outbox.set_aside is not None
        assert numbers(outbox) == [1, 2]
    with closing(opened(headless)) as outbox:
        assert outbox.set_aside is not None
        assert numbers(outbox) == []


def test_a_file_that_cannot_be_renamed_is_an_error_with_a_cure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    path.write_bytes(b"notes" * 100)

    def full(*_: object) -> None:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(SpoolError, match="cannot be renamed: Permission denied: make its folder writable"):
        Outbox(path)


def test_a_picture_that_is_not_what_its_hash_says_is_not_saved(path: Path) -> None:
    with closing(opened(path)) as outbox:
        outbox.commit([envelope(1)], evidence=[picture("good"), picture("bad", b"JPEG" * 50)])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"JPEG" * 50, b"JPEC" * 50))
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'rooms'").fetchone()
    overwrite(path, page - 1)

    with closing(opened(path)) as outbox:
        assert [record.key for record in outbox.pending_evidence(9)] == ["good"]
