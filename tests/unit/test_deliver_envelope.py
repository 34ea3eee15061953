"""Envelopes are valid CloudEvents, and events are what the published schemas say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import msgspec
import pytest

from streammon.deliver.envelope import Envelope, Importance
from streammon.deliver.schemas import EVENTS, FOLDER, SCHEMAS, schema_text
from streammon.entities import Box, KeywordHit, Moment, PersonMatch, QrReading, RoomState, Source
from streammon.events import (
    AuditedIncident,
    AuditEvent,
    AuditOutcome,
    BlindTime,
    EndReason,
    Evidence,
    EvidenceStatus,
    FeedbackAction,
    Hit,
    Monitor,
    Phase,
    PolicyRef,
    SamplingSummary,
    StreamEvent,
    Verdict,
    ViolationEvent,
)

AT = datetime(2025, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
MONITOR = Monitor(version="0.1.0", worker="host a/1")
MOMENT = Moment(session=2, pts_s=721.4, received_at=AT)

FULL_HIT = Hit(
    detector="ocr",
    model="pp-ocrv6",
    label="advertising.contact",
    confidence=0.93,
    box=Box(x=0.8, y=0.1, w=0.1, h=0.1),
    text="加微信",
    keywords=(KeywordHit(word="微信", list="contacts", span=(1, 3)),),
    qr=QrReading(payload="https://example.org", allowed=False),
    person=PersonMatch(library="celebrities", entry="17", similarity=0.71),
)

VIOLATION = ViolationEvent(
    incident_id="2f1c7c1e-7d2b-5a53-9c55-0d8a7b3c1a11",
    owner_epoch=7,
    phase=Phase.END,
    seq=3,
    continues=None,
    room_id="直播间/7",
    tenant="default",
    passthrough={"order": 1, "tags": ["a"]},
    verdict=Verdict.BLOCK,
    previous_verdict=Verdict.REVIEW,
    severity=4,
    actions=("cut",),
    category="advertising",
    label="advertising.contact",
    label_code=8004,
    subject=None,
    taxonomy_version="1.0",
    confidence=0.93,
    peak_confidence=0.97,
    source=Source.TEXT,
    hits=(FULL_HIT, Hit(detector="qr", model="zxing", label="advertising.qr_code", confidence=1.0)),
    first=MOMENT,
    last=replace(MOMENT, program_at=AT),
    peak=MOMENT,
    processed_at=AT,
    ended_at=AT,
    sampling=SamplingSummary(interval_s=2.0, inferences=5, hits=4, rule="3 in 10s"),
    evidence=(
        Evidence(kind="snapshot", status=EvidenceStatus.PENDING, url="file:///e/1.jpg", sha256="ab", width=4, height=2),
        Evidence(kind="snapshot", status=EvidenceStatus.WITHHELD, url=None, sha256="cd", width=4, height=2),
    ),
    policy=PolicyRef(id="live-strict", version="3", threshold_review=0.6, threshold_block=None),
    end_reason=EndReason.CLEARED,
    monitor=MONITOR,
)

STREAM = StreamEvent(
    room_id="直播间/7",
    tenant="default",
    passthrough={},
    owner_epoch=7,
    seq=1,
    session=1,
    state=RoomState.STREAMING,
    previous_state=None,
    reason=None,
    at=AT,
    monitor=MONITOR,
    blind=(BlindTime(cause="stalled", seconds=3.5),),
)

AUDIT = AuditEvent(
    feedback_id="9b1c7c1e-7d2b-5a53-9c55-0d8a7b3c1a11",
    room_id="直播间/7",
    tenant="default",
    owner_epoch=7,
    action=FeedbackAction.FALSE_ALARM,
    outcome=AuditOutcome.APPLIED,
    by="ann",
    at=AT - timedelta(seconds=2),
    seconds=None,
    note="舞蹈",
    label="advertising",
    subject=None,
    incidents=(
        AuditedIncident(
            incident_id="i", label="advertising.contact", subject="contacts", models=("pp-ocrv6",), first_feedback=True
        ),
    ),
    processed_at=AT,
    monitor=MONITOR,
)

ALL = pytest.mark.parametrize(
    ("name", "event"),
    [("violation.v1.json", VIOLATION), ("stream.v1.json", STREAM), ("audit.v1.json", AUDIT)],
    ids=["violation", "stream", "audit"],
)


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def errors(name: str, document: object) -> list[str]:
    return [error.message for error in validator(name).iter_errors(document)]


def test_violation_envelope_names_the_event_and_the_room() -> None:
    envelope = Envelope.of(VIOLATION)

    assert envelope.event_id == "2f1c7c1e-7d2b-5a53-9c55-0d8a7b3c1a11:3"
    assert envelope.type == "streammon.violation.v1"
    assert envelope.topic == "streammon.violations"
    assert envelope.key == envelope.subject == "直播间/7"
    assert envelope.source == "/streammon/host%20a%2F1"
    assert envelope.time == "2025-03-04T05:06:07.890000Z"


def test_stream_envelope_has_its_own_type_and_topic() -> None:
    envelope = Envelope.of(STREAM)

    assert (envelope.type, envelope.topic) == ("streammon.stream.v1", "streammon.streams")
    assert envelope.event_id == "直播间/7:7:1"


def test_audit_envelope_is_of_the_room_and_of_when_it_was_applied() -> None:
    envelope = Envelope.of(AUDIT)

    assert (envelope.type, envelope.topic) == ("streammon.audit.v1", "streammon.audit")
    assert (envelope.key, envelope.event_id) == ("直播间/7", "9b1c7c1e-7d2b-5a53-9c55-0d8a7b3c1a11")
    assert envelope.time == "2025-03-04T05:06:07.890000Z"


def test_time_is_utc_whatever_zone_the_event_was_made_in() -> None:
    event = replace(STREAM, at=AT.astimezone(timezone(timedelta(hours=8))))

    assert Envelope.of(event).time == Envelope.of(STREAM).time


def test_binary_mode_headers_are_the_bindings_and_utf8() -> None:
    envelope = Envelope.of(VIOLATION)
    headers = dict(envelope.kafka_headers())

    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": envelope.event_id.encode(),
        "ce_type": b"streammon.violation.v1",
        "ce_source": b"/streammon/host%20a%2F1",
        "ce_subject": "直播间/7".encode(),
        "ce_time": b"2025-03-04T05:06:07.890000Z",
        "ce_dataschema": b"urn:streammon:schema:violation.v1",
        "content-type": b"application/json",
    }


def test_structured_mode_is_one_line_around_the_same_data() -> None:
    envelope = Envelope.of(VIOLATION)
    line = envelope.structured()
    document = json.loads(line)

    assert b"\n" not in line
    assert document.pop("data") == json.loads(envelope.value)
    assert document == {
        "specversion": "1.0",
        "id": envelope.event_id,
        "type": envelope.type,
        "source": envelope.source,
        "subject": envelope.subject,
        "time": envelope.time,
        "dataschema": envelope.dataschema,
        "datacontenttype": "application/json",
    }


@ALL
def test_events_can_be_read_back_unchanged(name: str, event: ViolationEvent | StreamEvent | AuditEvent) -> None:
    assert msgspec.json.decode(Envelope.of(event).value, type=type(event)) == event


def test_there_is_a_schema_file_for_each_kind_of_message_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_files_are_what_the_code_generates(name: str) -> None:
    stored = (FOLDER / name).read_text(encoding="utf-8")

    assert stored == schema_text(name), "run: python -m streammon.deliver.schemas"


@ALL
def test_envelope_names_the_schemas_id(name: str, event: ViolationEvent | StreamEvent | AuditEvent) -> None:
    assert json.loads(schema_text(name))["$id"] == Envelope.of(event).dataschema == EVENTS[name][1]


@ALL
def test_events_are_valid_by_their_schema(name: str, event: ViolationEvent | StreamEvent | AuditEvent) -> None:
    assert errors(name, json.loads(Envelope.of(event).value)) == []


@ALL
def test_schema_wants_every_field_and_tolerates_new_ones(
    name: str, event: ViolationEvent | StreamEvent | AuditEvent
) -> None:
    document: dict[str, Any] = json.loads(Envelope.of(event).value)

    for field in document:
        assert errors(name, {key: value for key, value in document.items() if key != field}), field
    assert errors(name, {**document, "new_in_v1": True}) == []


def test_schema_wants_the_nullable_fields_of_inner_objects() -> None:
    document = json.loads(Envelope.of(VIOLATION).value)
    assert document["hits"][1]["qr"] is None
    del document["hits"][1]["qr"]

    assert errors("violation.v1.json", document) == ["'qr' is a required property"]


@pytest.mark.parametrize(
    ("field", "value"), [("confidence", 1.2), ("severity", 6), ("phase", "middle"), ("hits", None)]
)
def test_schema_refuses_values_out_of_range(field: str, value: object) -> None:
    document = json.loads(Envelope.of(VIOLATION).value)

    assert errors("violation.v1.json", {**document, field: value})


def test_updates_give_way_before_stream_events_and_those_before_the_rest() -> None:
    phases = [Phase.START, Phase.UPDATE, Phase.END]
    importance = [Envelope.of(replace(VIOLATION, phase=phase)).importance for phase in phases]

    assert importance == [Importance.KEPT, Importance.UPDATE, Importance.KEPT]
    assert Envelope.of(STREAM).importance is Importance.STREAM
    assert Envelope.of(AUDIT).importance is Importance.KEPT
    assert Importance.UPDATE < Importance.STREAM < Importance.KEPT


def test_importance_is_not_published() -> None:
    update = Envelope.of(replace(VIOLATION, phase=Phase.UPDATE))

    assert b"importance" not in update.structured()
    assert all("importance" not in name for name, _ in update.kafka_headers())


@pytest.mark.parametrize("headers_only", [True, False])
def test_what_kafka_carries_is_opened_again(headers_only: bool) -> None:
    sealed = Envelope.of(STREAM)
    headers = sealed.kafka_headers() if headers_only else (("Content-Type", b"application/cloudevents+json"),)
    value = sealed.value if headers_only else sealed.structured()

    opened = Envelope.received(sealed.topic, sealed.key.encode(), headers, value)

    assert opened == replace(sealed, importance=Importance.KEPT)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ((), b"{}"),
        ((("ce_id", b"\xff"),), b"{}"),
        ((("content-type", b"application/cloudevents+json"),), b"not json"),
        ((("content-type", b"application/cloudevents+json"),), b'{"id":"1"}'),
        ((("content-type", b"application/cloudevents+json"),), b'{"id":1,"data":{}}'),
    ],
)
def test_what_is_none_of_ours_is_told(headers: tuple[tuple[str, bytes], ...], value: bytes) -> None:
    with pytest.raises(ValueError, match="is no CloudEvent of ours"):
        Envelope.received("t", b"k", headers, value)
