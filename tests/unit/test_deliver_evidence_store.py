"""Pictures are in the store in the end, whatever stood in the way; and what became of each is told once."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from streammon.backoff import Backoff
from streammon.deliver import evidence_ledger
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_path import copy_key
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.folder_store import FolderStore
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import PumpState
from streammon.errors import EvidenceError, SpoolError
from streammon.events import EvidenceKind, EvidenceStatus
from tests.unit.evidence_making import MONITOR, NOW_S, jpeg, statuses, told, waiting

NOBODY = 65534
FLUSH_S = 30.0
SNAPSHOT, ANNOTATED, BLURRED = EvidenceKind
STORED, LOST = EvidenceStatus.STORED, EvidenceStatus.LOST
QUICK = Backoff(first_s=0.01, cap_s=0.01)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool" / "spool.sqlite")
    opened.register_sinks(["memory"])
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def store_in(folder: Path, outbox: Outbox, **options: object) -> EvidenceStore:
    config = EvidenceConfig.model_validate({"store": str(folder), "annotated": False, **options})
    requests = folder.parent / "deletions"
    return EvidenceStore(outbox, config, MONITOR, requests, backoff=QUICK, clock=lambda: NOW_S)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def expected(*numbers: int) -> dict[str, bytes]:
    return {waiting(number).key: waiting(number).jpeg for number in numbers}


def test_the_store_writes_what_waits_and_what_comes(folder: Path, outbox: Outbox) -> None:
    outbox.commit([], evidence=[waiting(number) for number in range(10)])
    store = store_in(folder, outbox)
    store.start()
    outbox.commit([], evidence=[waiting(10)])

    assert store.flush(FLUSH_S)
    assert store.close()
    assert store.close()
    assert files(folder) == expected(*range(11))
    assert outbox.evidence_depth() == 0
    assert statuses(outbox) == [(f"i{number}", SNAPSHOT, STORED, None) for number in range(11)]


def test_copies_lie_beside_and_are_told_with_their_own_hashes(folder: Path, outbox: Outbox) -> None:
    outbox.commit([], evidence=[waiting(1)])
    store = store_in(folder, outbox, annotated=True, blurred=True)
    store.start()
    assert store.flush(FLUSH_S)
    assert store.close()

    lying = files(folder)
    assert list(lying) == sorted(copy_key(waiting(1).key, kind) for kind in EvidenceKind)
    for event in told(outbox):
        content = lying[copy_key(waiting(1).key, event.kind)]
        assert event.url == f"file:///e/{copy_key(waiting(1).key, event.kind)}"
        assert event.sha256 == hashlib.sha256(content).hexdigest()
        assert Image.open(io.BytesIO(content)).size == (64, 64)
    assert [event.kind for event in told(outbox)] == [SNAPSHOT, ANNOTATED, BLURRED]
    assert len({event.sha256 for event in told(outbox)}) == 3


def test_what_is_no_picture_is_stored_without_copies(
    folder: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.commit([], evidence=[waiting(1, content=b"\xff\xd8broken"), waiting(2)])
    store = store_in(folder, outbox, annotated=True)
    store.start()

    assert store.flush(FLUSH_S)
    assert store.close()
    assert len(files(folder)) == 3
    assert "stored without copies" in caplog.text


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written into the folder: root, whom no mode stops, becomes nobody for the time."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_read_only_folder_is_waited_for_and_nothing_is_lost(
    folder: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    outbox.commit([], evidence=[waiting(1), waiting(2)])
    store = store_in(folder, outbox)
    with caplog.at_level(logging.INFO, logger="streammon"):
        with read_only(folder):
            store.start()
            assert not store.flush(0.2)
            status = store.status
            assert outbox.evidence_depth() == 2
            assert statuses(outbox) == []
        assert store.flush(FLUSH_S)
        assert store.close()

    assert status.state is PumpState.WAITING
    assert status.failures > 1
    assert status.reason == f"evidence folder {folder}: Permission denied: make it a writable folder with free space"
    assert caplog.messages == [f"evidence: waiting, nothing is lost: {status.reason}", "evidence: delivering again"]
    assert files(folder) == expected(1, 2)
    assert len(told(outbox)) == 2


def test_a_folder_that_vanished_is_waited_for_and_not_made_again(folder: Path, outbox: Outbox) -> None:
    store = store_in(folder, outbox)
    store.start()
    outbox.commit([], evidence=[waiting(1)])
    assert store.flush(FLUSH_S)
    mounted = folder.rename(folder.with_name("unmounted"))
    outbox.commit([], evidence=[waiting(2)])

    assert not store.flush(0.1)
    assert store.status.reason == f"evidence folder {folder}: is gone: make it a writable folder with free space"
    assert not folder.exists()
    mounted.rename(folder)
    assert store.flush(FLUSH_S)
    assert files(folder) == expected(1, 2)
    assert store.close()


def test_a_file_where_the_folder_should_be_is_named(folder: Path, outbox: Outbox) -> None:
    folder.write_text("not a folder")
    outbox.commit([], evidence=[waiting(1)])
    store = store_in(folder, outbox)
    store.start()

    assert not store.flush(0.1)
    assert store.close()
    assert outbox.pending_evidence(9) == [waiting(1)]


def test_what_a_crash_left_half_written_is_replaced(folder: Path, outbox: Outbox) -> None:
    whole = folder / waiting(1).key
    whole.parent.mkdir(parents=True)
    whole.with_name(f".{whole.name}.partial").write_bytes(b"\xff")
    outbox.commit([], evidence=[waiting(1)])
    store = store_in(folder, outbox)
    store.start()

    assert store.flush(FLUSH_S)
    assert files(folder) == expected(1)
    assert store.close()


def test_a_crash_between_storing_and_noting_tells_it_once(
    folder: Path, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise SpoolError("the power went")

    outbox.commit([], evidence=[waiting(1)])
    dying = store_in(folder, outbox)
    with monkeypatch.context() as patched:
        patched.setattr(evidence_ledger.Ledger, "stored", crash)
        dying.start()
        assert not dying.flush(0.1)
        assert dying.close()
    assert files(folder) == expected(1)

    successor = store_in(folder, outbox)
    successor.start()
    assert successor.flush(FLUSH_S)
    assert successor.close()
    assert statuses(outbox) == [("i1", SNAPSHOT, STORED, None)]


def test_a_full_spool_loses_the_oldest_and_says_so(
    folder: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("no folder, so nothing can be stored")
    outbox.commit([], evidence=[waiting(number) for number in range(250)])
    size = max(len(waiting(number).jpeg) for number in range(250))
    store = store_in(folder, outbox, spool_max_bytes=3 * size)
    store.start()
    while outbox.evidence_depth() > 3:
        outbox.wait(outbox.version, 0.05)

    assert not store.flush(0.05)
    folder.unlink()
    assert store.flush(FLUSH_S)
    assert store.close()
    lost = [event for event in told(outbox) if event.status is LOST]
    assert [event.incident_id for event in lost] == [f"i{number}" for number in range(len(lost))]
    assert {event.reason for event in lost} == {"spool_full"}
    assert len(lost) in {247, 248}
    assert files(folder) == expected(*range(len(lost), 250))
    assert "lost" in caplog.text


def test_every_change_of_status_is_counted(folder: Path, outbox: Outbox) -> None:
    counted: list[tuple[EvidenceKind, EvidenceStatus]] = []
    outbox.commit([], evidence=[waiting(1)])
    config = EvidenceConfig(store=str(folder), blurred=True, annotated=False, keep=None)
    store = EvidenceStore(outbox, config, MONITOR, folder.parent, count=lambda *what: counted.append(what))
    store.start()
    assert store.flush(FLUSH_S)
    assert store.close()

    assert counted == [(SNAPSHOT, STORED), (BLURRED, STORED)]


def test_a_picture_and_its_folders_names_are_on_the_disk_before_it_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    flush = os.fsync

    def noted(fd: int) -> None:
        flush(fd)
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(folder.parent)))

    monkeypatch.setattr(os, "fsync", noted)
    store = FolderStore(folder)
    store.put("a/b/1.jpg", b"1")
    assert synced[:3] == [".", "evidence/a/b/.1.jpg.partial", "evidence/a/b"]
    assert set(synced[3:]) == {"evidence/a", "evidence"}
    synced.clear()
    store.put("a/b/2.jpg", b"2")
    assert synced == ["evidence/a/b/.2.jpg.partial", "evidence/a/b"], "what is there needs no flush"


def test_a_folder_deletes_what_is_there_and_forgives_what_is_not(folder: Path) -> None:
    store = FolderStore(folder)
    store.put("a/b/1.jpg", b"1")
    store.put("a/c/2.jpg", b"2")
    store.delete(["a/b/1.jpg", "a/b/1.jpg", "x/y.jpg"])

    assert files(folder) == {"a/c/2.jpg": b"2"}
    assert not (folder / "a" / "b").exists(), "what it emptied is gone too"
    store.delete(["a/c/2.jpg"])
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_mounted_deletes_nothing(folder: Path) -> None:
    with pytest.raises(EvidenceError, match="is gone"):
        FolderStore(folder).delete(["a.jpg"])


def test_a_folder_lists_what_lies_below_in_bounded_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streammon.deliver.folder_store._BATCH", 4)
    store = FolderStore(folder)
    for number in range(10):
        store.put(f"a/{number % 3}/{number}.jpg", jpeg(number))
    (folder / "out").symlink_to("/")

    batches = list(store.kept("a"))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert {kept.key for batch in batches for kept in batch} == {f"a/{number % 3}/{number}.jpg" for number in range(10)}
    assert sum(map(len, store.kept(""))) == 10, "a link out of the folder is not followed"
    assert list(store.kept("no/such")) == []
