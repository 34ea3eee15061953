"""Evidence in a bucket of a real server that speaks S3: put, waited for, found, expired and deleted."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_deletion import DeletionQueue
from streammon.deliver.evidence_path import copy_key
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_store import PictureStore
from streammon.deliver.picture_stores import open_store
from streammon.deliver.pump import PumpState
from streammon.errors import EvidenceError
from streammon.events import EvidenceKind, EvidenceStatus
from tests.integration.s3_server import CREDENTIALS, S3Server, require_s3
from tests.integration.storing import FLUSH_S, keys, outbox, store_config, uploading
from tests.unit.evidence_making import MONITOR, NOW_S, jpeg, statuses, waiting

__all__ = ["outbox"]


BUCKET = "evidence"


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    require_s3()
    with S3Server() as server:
        yield server


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    running.begin_anew(BUCKET)
    return running


def config(server: S3Server, **options: object) -> EvidenceConfig:
    return store_config({"store": f"s3://{BUCKET}/pre/fix", "endpoint": server.endpoint, **options})


def bucket(server: S3Server) -> PictureStore:
    return open_store(config(server))


def evidence_store(server: S3Server, outbox: Outbox, requests: Path, **options: object) -> EvidenceStore:
    return uploading(config(server, **options), outbox, requests)


def test_a_picture_is_put_below_the_prefix_as_a_jpeg(server: S3Server) -> None:
    key = waiting(1, room_id="直播/间").key
    bucket(server).put(key, jpeg())

    assert server.get(BUCKET, f"pre/fix/{key}") == (jpeg(), "image/jpeg")


def test_putting_again_replaces(server: S3Server) -> None:
    bucket(server).put("a/1.jpg", b"one")
    bucket(server).put("a/1.jpg", b"two")

    assert server.get(BUCKET, "pre/fix/a/1.jpg")[0] == b"two"


def test_what_lies_below_a_folder_is_found_in_batches(server: S3Server) -> None:
    store = bucket(server)
    made = {f"{room}/{number}.jpg" for room in ("a", "ab") for number in range(3)}
    for key in made:
        store.put(key, b"x")

    assert keys(store) == made
    assert keys(store, "a") == {key for key in made if key.startswith("a/")}
    assert keys(store, "none") == set()


def test_deleting_forgives_what_is_not_there(server: S3Server) -> None:
    store = bucket(server)
    store.put("a/1.jpg", b"x")
    store.put("a/2.jpg", b"x")
    store.delete(["a/0.jpg", "a/1.jpg", "a/1.jpg"])

    assert keys(store) == {"a/2.jpg"}


def test_what_is_wrong_is_said_in_a_line(server: S3Server) -> None:
    nowhere = open_store(config(server, store="s3://no-such-bucket/x"))
    with pytest.raises(EvidenceError, match=r"^evidence s3://no-such-bucket/x: there is no such bucket[^\n]*$"):
        nowhere.put("a.jpg", b"x")
    gone = open_store(config(server, endpoint="http://127.0.0.1:1"))
    with pytest.raises(EvidenceError, match=r"^evidence s3://evidence/pre/fix: [^\n]{10,200}$") as caught:
        gone.put("a.jpg", b"x")
    assert "127.0.0.1" not in str(caught.value), "a request's URL may be signed"


def test_pictures_wait_for_a_server_that_is_down(server: S3Server, outbox: Outbox, tmp_path: Path) -> None:
    server.stop()
    outbox.commit([], evidence=[waiting(number) for number in range(20)])
    store = evidence_store(server, outbox, tmp_path / "deletions")
    store.start()
    assert not store.flush(0.5)
    assert store.status.state is PumpState.WAITING
    assert outbox.evidence_depth() == 20
    server.restart()
    server.begin_anew(BUCKET)

    assert store.flush(FLUSH_S)
    assert store.close()
    assert keys(bucket(server)) == {waiting(number).key for number in range(20)}
    assert {status for _, _, status, _ in statuses(outbox)} == {EvidenceStatus.STORED}
    assert len(statuses(outbox)) == 20


def test_an_unreachable_store_never_holds_up_a_commit(outbox: Outbox, tmp_path: Path, server: S3Server) -> None:
    """The server takes connections and says nothing: an upload hangs until its time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = EvidenceStore(outbox, config(server, endpoint=endpoint), MONITOR, tmp_path / "deletions")
        store.start()
        outbox.commit([], evidence=[waiting(0)])
        assert not store.flush(0.3)
        started_s = time.monotonic()
        for number in range(1, 50):
            outbox.commit([], evidence=[waiting(number)])
        assert time.monotonic() - started_s < 5.0
    assert store.close()
    assert outbox.evidence_depth() == 50


def test_stored_with_copies_then_expired_then_deleted(server: S3Server, outbox: Outbox, tmp_path: Path) -> None:
    old, new, other = waiting(1, taken_s=NOW_S - 90_000), waiting(2), waiting(3, room_id="other")
    outbox.commit([], evidence=[old, new, other])
    store = evidence_store(server, outbox, tmp_path / "deletions", blurred=True, keep="1d")
    store.start()
    assert store.flush(FLUSH_S)
    assert store.close()
    left = {copy_key(record.key, kind) for record in (new, other) for kind in EvidenceKind} - {
        copy_key(record.key, EvidenceKind.ANNOTATED) for record in (new, other)
    }
    assert keys(bucket(server)) == left
    assert [kept for kept in statuses(outbox) if kept[2] is EvidenceStatus.EXPIRED] == [
        ("i1", EvidenceKind.BLURRED, EvidenceStatus.EXPIRED, "age"),
        ("i1", EvidenceKind.SNAPSHOT, EvidenceStatus.EXPIRED, "age"),
    ]

    queue = DeletionQueue(tmp_path / "deletions")
    asked = queue.ask(room_id=new.room_id, tenant=None, before_s=NOW_S)
    deleting = evidence_store(server, outbox, tmp_path / "deletions")
    deleting.start()
    while (deleted := queue.finished(asked)) is None:
        outbox.wait(outbox.version, 0.05)
    assert deleting.close()
    assert set(deleted) == {new.key, copy_key(new.key, EvidenceKind.BLURRED)}
    assert keys(bucket(server)) == {key for key in left if "/other/" in key}
