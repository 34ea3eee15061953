"""A picture becomes evidence: encoded right, filed under its event, or withheld."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from pydantic import ValidationError

from streammon.deliver.evidence import file_snapshot, picture_event, snapshot, withhold
from streammon.deliver.evidence_config import EvidenceConfig, placed
from streammon.deliver.picture_stores import picture_url
from streammon.errors import EvidenceError
from streammon.events import EvidenceKind, EvidenceStatus, Hit
from tests.unit.evidence_making import AT, MONITOR, picture, violation


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
    event = violation(hits=(Hit(detector="d", model="m", label="violence.gore", confidence=0.5, text="字"),))
    filed = file_snapshot(shot, EvidenceConfig(store=str(tmp_path)), event, AT)

    assert filed.record.key == f"acme/10086/20250304/050607.890000-abc-{shot.sha256[:12]}.jpg"
    assert (filed.record.jpeg, filed.record.taken_s) == (shot.jpeg, AT.timestamp())
    assert msgspec.json.decode(filed.record.hits, type=tuple[Hit, ...]) == event.hits
    assert filed.evidence.status is EvidenceStatus.PENDING
    assert filed.evidence.url == filed.record.url == f"file://{tmp_path}/{filed.record.key}"
    assert (filed.evidence.sha256, filed.evidence.width, filed.evidence.height) == (shot.sha256, 16, 8)


def test_a_withheld_picture_has_a_hash_and_no_place() -> None:
    shot = snapshot(np.zeros((8, 16, 3), np.uint8))
    evidence = withhold(shot)

    assert (evidence.status, evidence.url, evidence.sha256) == (EvidenceStatus.WITHHELD, None, shot.sha256)


@pytest.mark.parametrize(
    ("config", "url"),
    [
        (EvidenceConfig(store="/srv/e x"), "file:///srv/e%20x/a/b%252F.jpg"),
        (EvidenceConfig(store="s3://bucket/pre"), "s3://bucket/pre/a/b%2F.jpg"),
        (
            EvidenceConfig(store="s3://bucket", public_url="https://c.example.org/e/"),
            "https://c.example.org/e/a/b%252F.jpg",
        ),
    ],
)
def test_where_a_picture_will_be_read(config: EvidenceConfig, url: str) -> None:
    assert picture_url(config, "a/b%2F.jpg") == url


def test_what_became_of_a_picture_is_told_with_all_that_its_event_said_of_it() -> None:
    event = picture_event(picture(1), EvidenceStatus.EXPIRED, "age", AT.timestamp(), MONITOR)

    assert (event.status, event.reason, event.at) == (EvidenceStatus.EXPIRED, "age", AT)
    assert (event.room_id, event.tenant, event.passthrough) == ("10086", "acme", {"order": 7})
    assert (event.kind, event.url, event.sha256) == (EvidenceKind.SNAPSHOT, picture(1).url, picture(1).sha256)


def test_events_of_one_picture_have_different_ids() -> None:
    told = [picture_event(picture(1), status, None, 0.0, MONITOR) for status in EvidenceStatus]

    assert len({event.event_id for event in told}) == len(EvidenceStatus)
    assert told[0].event_id == picture_event(picture(1), EvidenceStatus.PENDING, "later", 9.0, MONITOR).event_id


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"store": "s3://bucket/some/prefix/"}, {"store": "s3://bucket/some/prefix"}),
        ({"store": "file:///srv/my%20evidence"}, {"store": "/srv/my evidence"}),
        ({"store": "beside"}, {"store": "/etc/streammon/beside"}),
        ({"store": "az://box", "endpoint": "http://127.0.0.1:9/account"}, {"endpoint": "http://127.0.0.1:9/account"}),
        ({"keep": "1.5d"}, {"keep": 129_600.0}),
        ({"keep": "12h", "max_bytes": "50GiB"}, {"keep": 43_200.0, "max_bytes": 50 << 30}),
        ({"keep": None}, {"keep": None}),
    ],
)
def test_configuration_is_read_as_people_write_it(written: dict[str, object], read: dict[str, object]) -> None:
    config = EvidenceConfig.model_validate(written, context={"base": Path("/etc/streammon"), "others": []})

    assert {key: getattr(config, key) for key in read} == read


@pytest.mark.parametrize(
    "wrong",
    [
        {"quality": 0},
        {"quality": 101},
        {"colour": "red"},
        {"store": "ftp://host/x"},
        {"store": "file://host/x"},
        {"store": "s3://bucket/../other"},
        {"store": "s3://user:secret@bucket"},
        {"store": ""},
        {"endpoint": "http://127.0.0.1:9"},
        {"store": "gs://bucket", "endpoint": "http://127.0.0.1:9"},
        {"store": "s3://bucket", "endpoint": "http://user:secret@host"},
        {"keep": "1s"},
        {"keep": "soon"},
        {"max_bytes": 0},
        {"path": "{room}.jpg"},
    ],
)
def test_configuration_refuses_what_it_does_not_know(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EvidenceConfig.model_validate(wrong)


def test_without_a_word_evidence_lies_in_the_state_folder() -> None:
    assert placed(EvidenceConfig(), Path("/var/state")).store == "/var/state/evidence"
    assert placed(EvidenceConfig(store="s3://b"), Path("/var/state")).store == "s3://b"
