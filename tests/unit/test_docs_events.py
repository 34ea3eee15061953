"""docs/events.md has a row for every field of every message, with its type, when it is null, and every value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streammon.deliver.schemas import FOLDER, SCHEMAS
from streammon.judge.feedback import decode_feedback, encode_feedback
from streammon.judge.recording import encode_frame
from tests.unit.colours import RED, room
from tests.unit.test_fleet_feedback import MUTE
from tests.unit.test_fleet_rooms import seen

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_TITLE = re.compile(r"^### (\w+)$", re.MULTILINE)
_QUOTED = re.compile(r"`(\w+)`")
_VALUE = re.compile(r"(?:^|[,;] )`(\w+)`(?=[,;:]|$)")
_PLAIN = {"string", "time", "integer", "number", "boolean", "object"}

Table = dict[str, tuple[str, bool]]
"""A field → its type, and whether it may be null."""


def definitions() -> dict[str, Any]:
    """What any schema file defines, by name. One name is one thing in all of them."""
    every: dict[str, Any] = {}
    for name in SCHEMAS:
        for title, definition in json.loads((FOLDER / name).read_text(encoding="utf-8"))["$defs"].items():
            assert every.setdefault(title, definition) == definition, f"{title} differs between schemas"
    return every


def type_of(field: Mapping[str, Any]) -> tuple[str, bool]:
    """The type as the tables name it, and whether it may be null."""
    if "anyOf" in field:
        (one,) = [option for option in field["anyOf"] if option.get("type") != "null"]
        return type_of(one)[0], True
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2], False
    if "prefixItems" in field:
        return f"[{', '.join(type_of(item)[0] for item in field['prefixItems'])}]", False
    if field["type"] == "array":
        return f"list of {type_of(field['items'])[0]}", False
    if (field["type"], field.get("minimum"), field.get("maximum")) == ("number", 0.0, 1.0):
        return "ratio", False
    named = "time" if field.get("format") == "date-time" else field["type"]
    assert named in _PLAIN, field
    return named, False


def sections() -> dict[str, list[list[str]]]:
    """The rows of the table below each title of the last part of the page, each as its cells."""
    _, _, part = (_DOCS / "events.md").read_text(encoding="utf-8").partition("\n## Every field\n")
    pieces = _TITLE.split(part)[1:]
    return {
        title: [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines()
            if line.startswith("|")
        ][2:]
        for title, text in zip(pieces[::2], pieces[1::2], strict=True)
    }  # fmt: skip


def documented(title: str) -> Table:
    table: Table = {}
    for names, kind, meaning, null in sections()[title]:
        assert meaning, f"{title}: {names} has no meaning"
        for name in _QUOTED.findall(names):
            assert name not in table, f"{title}: {name} has two rows"
            table[name] = (kind, bool(null))
    return table


def fields(definition: Mapping[str, Any]) -> Table:
    return {name: type_of(field) for name, field in definition["properties"].items()}


OBJECTS = {title: found for title, found in definitions().items() if "properties" in found}
ENUMERATIONS = {title: set(found["enum"]) for title, found in definitions().items() if "enum" in found}


@pytest.mark.parametrize("title", OBJECTS)
def test_every_field_has_a_row_and_every_row_is_a_field(title: str) -> None:
    assert documented(title) == fields(OBJECTS[title])


def test_every_table_is_of_something_that_is_published() -> None:
    assert set(sections()) == {*OBJECTS, "Enumerations"}


def test_every_value_of_every_enumeration_is_told() -> None:
    assert {name: set(_VALUE.findall(values)) for name, values in sections()["Enumerations"]} == ENUMERATIONS


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def test_feedback_is_valid_by_its_schema_also_as_the_page_shows_it() -> None:
    page = (_DOCS / "policies.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```json\n(\{\"action.*?)\n```$", page, re.MULTILINE)
    decode_feedback(shown.encode())
    for message in (shown, encode_feedback(MUTE)):
        validator("feedback.v1.json").validate(json.loads(message))


@pytest.mark.parametrize("missing", ["action", "room_id", "by", "at"])
def test_feedback_that_lacks_a_field_is_not(missing: str) -> None:
    document = json.loads(encode_feedback(MUTE))
    del document[missing]
    assert not validator("feedback.v1.json").is_valid(document)


def test_a_recorded_frame_is_valid_by_its_schema_and_has_every_field() -> None:
    document = json.loads(encode_frame(room(), seen(RED, 1.0)))
    validator("record.v1.json").validate(document)
    del document["looks"][0]["detections"][0]["person"]
    assert not validator("record.v1.json").is_valid(document)
