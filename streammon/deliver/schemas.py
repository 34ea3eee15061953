"""The published JSON Schemas, generated from the code's classes. `python -m streammon.deliver.schemas` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from streammon.deliver.dead_letters import DEAD_LETTER_SCHEMA, DeadLetter
from streammon.deliver.envelope import AUDIT_SCHEMA, EVIDENCE_SCHEMA, STREAM_SCHEMA, VIOLATION_SCHEMA
from streammon.events import AuditEvent, EvidenceEvent, StreamEvent, ViolationEvent
from streammon.judge.feedback import Feedback, feedback_schema
from streammon.judge.recording import RecordedFrame
from streammon.judge.texts import SentText, text_schema

FOLDER = Path(__file__).with_name("schema")
EVENTS: dict[str, tuple[type, str]] = {
    "violation.v1.json": (ViolationEvent, VIOLATION_SCHEMA),
    "stream.v1.json": (StreamEvent, STREAM_SCHEMA),
    "evidence.v1.json": (EvidenceEvent, EVIDENCE_SCHEMA),
    "audit.v1.json": (AuditEvent, AUDIT_SCHEMA),
    "dead-letter.v1.json": (DeadLetter, DEAD_LETTER_SCHEMA),
}
"""File name → the event's class, and the id its envelope names as `dataschema`."""
SCHEMAS: dict[str, tuple[type, str]] = {
    **EVENTS,
    "record.v1.json": (RecordedFrame, "urn:streammon:schema:record.v1"),
    "feedback.v1.json": (Feedback, "urn:streammon:schema:feedback.v1"),
    "text.v1.json": (SentText, "urn:streammon:schema:text.v1"),
}
"""The same of all that is published or read as JSON; records, feedback and texts travel without an envelope."""
COMPATIBILITY = (
    "Every field is always there, null where it has no value. Within v1 fields and enumeration values may be added, "
    "never removed or changed: consumers must tolerate those they do not know."
)
READ_BY_US = "What streammon reads. A field with a default may be left out, and one that is not known is passed over."
FEEDBACK = (
    f"{READ_BY_US} There must be either `incident_id` or `label`, `subject` only beside `label`, and `seconds` for "
    "`mute` and nothing else."
)


def schema_text(name: str) -> str:
    """The JSON Schema (draft 2020-12) that belongs in the file of that name."""
    content_type, schema_id = SCHEMAS[name]
    if content_type is Feedback:
        description, generated = FEEDBACK, feedback_schema()
    elif content_type is SentText:
        description, generated = READ_BY_US, text_schema()
    else:
        description, generated = COMPATIBILITY, msgspec.json.schema(content_type)
        for definition in generated["$defs"].values():
            _require_all(definition)
    header = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_id,
        "description": description,
    }
    return json.dumps({**header, **generated}, indent=2, ensure_ascii=False) + "\n"


def _require_all(definition: dict[str, Any]) -> None:
    """Our encoder writes every field, so a default, which msgspec takes for "may be left out", means nothing here."""
    properties = definition.get("properties")
    if properties is None:
        return
    definition["required"] = list(properties)
    for field in properties.values():
        field.pop("default", None)


def write() -> None:
    """Write all schema files beside the code."""
    FOLDER.mkdir(exist_ok=True)
    for name in SCHEMAS:
        (FOLDER / name).write_text(schema_text(name), encoding="utf-8")


if __name__ == "__main__":
    write()
