"""Pictures become evidence: encoded right, named safely, and in the folder in the end whatever stood in the way."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streammon.backoff import Backoff
from streammon.deliver.config import EvidenceConfig
from streammon.deliver.evidence import (
    evidence_key,
    evidence_url,
    file_snapshot,
    snapshot,
    withhold,
)
from streammon.deliver.evidence_store import EvidenceStore
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import PumpState
from streammon.deliver.records import EvidenceRecord
from streammon.errors import EvidenceError
from streammon.events import EvidenceStatus

AT = datetime(2025, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
HASH = "0123456789abcdef" * 4
NOBODY = 65534
FLUSH_S = 30.0


def picture(number: int) -> EvidenceRecord:
    jpeg = b"\xff\xd8%d" % number
    key = evidence_key("room", f"incident{number}", AT, hashlib.sha256(jpeg).hexdigest())
    return EvidenceRecord(key=key, sha256=hashlib.sha256(jpeg).hexdigest(), jpeg=jpeg, room_id="room", incident_id="i")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool" / "spool.db")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def stored(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_snapshot_is_the_picture_with_its_colours() -> None:
    image = np.zeros((40, 64, 3), np.uint8)
    image[:, :32] = (250, 20, 10)  # left half red
    shot = snapshot(image, quality=95)
    decoded = cv2.imdecode(np.frombuffer(shot.jpeg, np.uint8), cv2.IMREAD_COLOR)

    assert (shot.width, shot.height) == (64, 40)
    assert shot.sha256 == hashlib.sha256(shot.jpeg).hexdigest()
    assert decoded is not None
    assert np.abs(decoded[20, 8].astype(int) - (10, 20, 250)).max() < 12  # OpenCV decodes to BGR


def test_quality_decides_the_size() -> None:
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)

    assert len(snapshot(image, quality=30).jpeg) < len(snapshot(image, quality=95).jpeg)


def test_an_empty_picture_is_an_error() -> None:
    with pytest.raises(EvidenceError, match=r"\(0, 64, 3\)"):
        snapshot(np.zeros((0, 64, 3), np.uint8))


def test_filing_names_the_place_before_the_picture_is_there(tmp_path: Path) -> None:
    shot = snapshot(np.zeros((8, 16, 3), np.uint8))
    filed = file_snapshot(shot, EvidenceConfig(folder=tmp_path), room_id="10086", incident_id="abc", at=AT)

    assert filed.record.key == f"10086/20250304/050607.890000-abc-{shot.sha256[:12]}.jpg"
    assert filed.record.jpeg == shot.jpeg
    assert filed.evidence.status is EvidenceStatus.PENDING
    assert filed.evidence.url == f"file://{tmp_path}/{filed.record.key}"
    assert (filed.evidence.sha256, filed.evidence.width, filed.evidence.height) == (shot.sha256, 16, 8)


def test_a_withheld_picture_has_a_hash_and_no_place() -> None:
    shot = snapshot(np.zeros((8, 16, 3), np.uint8))
    evidence = withhold(shot)

    assert (evidence.status, evidence.url, evidence.sha256) == (EvidenceStatus.WITHHELD, None, shot.sha256)


def test_a_public_prefix_replaces_the_folder() -> None:
    config = EvidenceConfig(folder=Path("/srv/evidence"), public_url="https://cdn.example.org/e/")
    key = evidence_key("a/b", "i", AT, HASH)

    assert evidence_url(config, key) == "https://cdn.example.org/e/a%252Fb/20250304/050607.890000-i-0123456789ab.jpg"


def test_a_key_is_in_utc() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=8)))

    assert evidence_key("r", "i", elsewhere, HASH) == evidence_key("r", "i", AT, HASH)


@pytest.mark.parametrize(
    "room_id",
    ["../../etc/passwd", "..", ".", "", "/", "a\x00b", "C:\\x", "直播间" * 100, ".hidden", "\ud800", "a" * 999],
)
def test_hostile_room_ids_stay_inside_the_folder(tmp_path: Path, room_id: str) -> None:
    key = evidence_key(room_id, room_id, AT, HASH)
    path = tmp_path / key
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")

    assert len(PurePosixPath(key).parts) == 3
    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert unquote(urlsplit(evidence_url(EvidenceConfig(folder=tmp_path), key)).path) == str(path)


@given(st.text(max_size=300), st.text(max_size=300))
def test_different_rooms_have_different_folders(one: str, other: str) -> None:
    keys = [evidence_key(room_id, "i", AT, HASH) for room_id in (one, other)]

    assert (keys[0] == keys[1]) == (one == other)
    assert all(key.isascii() and len(key) < 400 and not key.startswith(".") for key in keys)


@pytest.mark.parametrize("wrong", [{"quality": 0}, {"quality": 101}, {"colour": "red"}])
def test_configuration_refuses_what_it_does_not_know(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvidenceConfig.model_validate(wrong)


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


def test_the_store_writes_what_waits_and_what_comes(folder: Path, outbox: Outbox) -> None:
    outbox.commit([], evidence=[picture(number) for number in range(10)])
    store = EvidenceStore(outbox, folder)
    store.start()
    outbox.commit([], evidence=[picture(10)])

    assert store.flush(FLUSH_S)
    assert stored(folder) == {picture(number).key: picture(number).jpeg for number in range(11)}
    assert outbox.evidence_depth() == 0
    assert store.close()
    assert store.close()


def test_a_read_only_folder_is_waited_for_and_nothing_is_lost(
    folder: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    outbox.commit([], evidence=[picture(1), picture(2)])
    store = EvidenceStore(outbox, folder, backoff=Backoff(first_s=0.01, cap_s=0.01))
    with caplog.at_level(logging.INFO, logger="streammon"):
        with read_only(folder):
            store.start()
            assert not store.flush(0.2)
            status = store.status
            assert outbox.evidence_depth() == 2
        assert store.flush(FLUSH_S)
    assert store.close()

    assert status.state is PumpState.WAITING
    assert status.failures > 1
    assert status.reason == f"evidence folder {folder}: Permission denied: make it a writable folder with free space"
    assert caplog.messages == [f"evidence: waiting, nothing is lost: {status.reason}", "evidence: delivering again"]
    assert stored(folder) == {picture(number).key: picture(number).jpeg for number in (1, 2)}


def test_a_folder_that_vanished_is_waited_for_and_not_made_again(folder: Path, outbox: Outbox) -> None:
    store = EvidenceStore(outbox, folder, backoff=Backoff(first_s=0.01, cap_s=0.01))
    store.start()
    outbox.commit([], evidence=[picture(1)])
    assert store.flush(FLUSH_S)
    mounted = folder.rename(folder.with_name("unmounted"))
    outbox.commit([], evidence=[picture(2)])

    assert not store.flush(0.1)
    assert store.status.reason == f"evidence folder {folder}: is gone: make it a writable folder with free space"
    assert not folder.exists()
    mounted.rename(folder)
    assert store.flush(FLUSH_S)
    assert len(stored(folder)) == 2
    assert store.close()


def test_a_file_where_the_folder_should_be_is_named(folder: Path, outbox: Outbox) -> None:
    folder.write_text("not a folder")
    outbox.commit([], evidence=[picture(1)])
    store = EvidenceStore(outbox, folder)
    store.start()

    assert not store.flush(0.1)
    assert store.close()
    assert outbox.pending_evidence(9) == [picture(1)]


def test_what_a_crash_left_half_written_is_replaced(folder: Path, outbox: Outbox) -> None:
    whole = folder / picture(1).key
    whole.parent.mkdir(parents=True)
    whole.with_name(f".{whole.name}.partial").write_bytes(b"\xff")
    outbox.commit([], evidence=[picture(1)])
    store = EvidenceStore(outbox, folder)
    store.start()

    assert store.flush(FLUSH_S)
    assert stored(folder) == {picture(1).key: picture(1).jpeg}
    assert store.close()
