"""Evidence in a container of a server that speaks Azure's protocol: put, waited for, found, expired and deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.evidence_deletion import DeletionQueue
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.outbox import Outbox
from streammon.deliver.picture_store import PictureStore
from streammon.deliver.picture_stores import open_store
from streammon.deliver.pump import PumpState
from streammon.errors import EvidenceError
from streammon.events import EvidenceKind, EvidenceStatus
from tests.integration.azure_server import CREDENTIALS, AzureServer
from tests.integration.storing import FLUSH_S, keys, outbox, store_config, uploading
from tests.unit.evidence_making import NOW_S, jpeg, statuses, waiting

__all__ = ["outbox"]


CONTAINER = "evidence"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureServer]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with AzureServer() as running:
        running.make(CONTAINER)
        yield running


def config(server: AzureServer, **options: object) -> EvidenceConfig:
    return store_config({"store": f"az://{CONTAINER}/pre/fix", "endpoint": server.endpoint, **options})


def container(server: AzureServer) -> PictureStore:
    return open_store(config(server))


def evidence_store(server: AzureServer, outbox: Outbox, requests: Path, **options: object) -> EvidenceStore:
    return uploading(config(server, **options), outbox, requests)


def test_a_picture_is_put_below_the_prefix_as_a_jpeg_and_replaced(server: AzureServer) -> None:
    key = waiting(1, room_id="直播/间").key
    container(server).put(key, b"first")
    container(server).put(key, jpeg())

    assert server.get(CONTAINER, f"pre/fix/{key}") == (jpeg(), "image/jpeg")


def test_what_lies_below_a_folder_is_found_and_deleted(server: AzureServer) -> None:
    store = container(server)
    made = {f"{room}/{number}.jpg" for room in ("a", "ab") for number in range(3)}
    for key in made:
        store.put(key, b"x")
    assert keys(store) == made
    assert keys(store, "a") == {key for key in made if key.startswith("a/")}
    assert keys(store, "none") == set()

    store.delete(["a/9.jpg", "a/0.jpg", "a/1.jpg", "a/1.jpg", "a/2.jpg"])
    assert keys(store) == {key for key in made if key.startswith("ab/")}


def test_one_that_is_not_there_keeps_none_of_the_others(server: AzureServer) -> None:
    """More than the 256 blobs of one of Azure's batches."""
    store = container(server)
    made = [f"a/{number}.jpg" for number in range(300)]
    for key in made:
        store.put(key, b"x")
    store.delete(["a/none.jpg", *made])

    assert keys(store) == set()


def test_what_is_wrong_is_said_in_a_line(server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = open_store(config(server, store="az://no-such-container/x"))
    with pytest.raises(EvidenceError, match=r"^evidence az://no-such-container/x: there is no such bucket[^\n]*$"):
        nowhere.put("a.jpg", b"x")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "AAAA")
    with pytest.raises(EvidenceError, match=r"^evidence az://evidence/pre/fix: access denied[^\n]*$"):
        container(server).put("a.jpg", b"x")


def test_pictures_wait_for_a_server_that_is_down(server: AzureServer, outbox: Outbox, tmp_path: Path) -> None:
    server.stop()
    records = [waiting(number) for number in range(20)]
    outbox.commit([], evidence=records)
    store = evidence_store(server, outbox, tmp_path / "deletions")
    store.start()
    assert not store.flush(0.5)
    assert store.status.state is PumpState.WAITING
    assert outbox.evidence_depth() == 20
    server.restart()
    server.make(CONTAINER)

    assert store.flush(FLUSH_S)
    assert store.close()
    assert keys(container(server)) == {record.key for record in records}
    assert [status for _, _, status, _ in statuses(outbox)] == [EvidenceStatus.STORED] * 20
    for record in records:
        content, _ = server.get(CONTAINER, f"pre/fix/{record.key}")
        assert hashlib.sha256(content).hexdigest() == record.sha256


def test_stored_then_expired_then_deleted(server: AzureServer, outbox: Outbox, tmp_path: Path) -> None:
    old, new, other = waiting(1, taken_s=NOW_S - 90_000), waiting(2), waiting(3, room_id="other")
    outbox.commit([], evidence=[old, new, other])
    store = evidence_store(server, outbox, tmp_path / "deletions", keep="1d")
    store.start()
    assert store.flush(FLUSH_S)
    assert store.close()
    assert keys(container(server)) == {new.key, other.key}
    expired = [kept for kept in statuses(outbox) if kept[2] is EvidenceStatus.EXPIRED]
    assert expired == [("i1", EvidenceKind.SNAPSHOT, EvidenceStatus.EXPIRED, "age")]

    queue = DeletionQueue(tmp_path / "deletions")
    asked = queue.ask(room_id=new.room_id, tenant=None, before_s=NOW_S)
    deleting = evidence_store(server, outbox, tmp_path / "deletions")
    deleting.start()
    while (deleted := queue.finished(asked)) is None:
        outbox.wait(outbox.version, 0.05)
    assert deleting.close()
    assert deleted == [new.key]
    assert keys(container(server)) == {other.key}
