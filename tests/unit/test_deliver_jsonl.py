"""The file sink appends whole lines, survives being moved and a full disk, and names what stops it."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streammon.deliver.envelope import Envelope
from streammon.deliver.jsonl import JsonlSink
from streammon.errors import DeliveryError


def envelope(number: int) -> Envelope:
    return Envelope(
        event_id=f"incident:{number}",
        type="streammon.violation.v1",
        source="/streammon/w",
        subject="直播间",
        time="2025-03-04T05:06:07Z",
        dataschema="urn:streammon:schema:violation.v1",
        topic="streammon.violations",
        key="room",
        value=b'{"seq":%d}' % number,
    )


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events" / "events.jsonl"


@pytest.fixture
def sink(path: Path) -> Iterator[JsonlSink]:
    opened = JsonlSink(path)
    yield opened
    opened.close()


@contextmanager
def file_size_limit(limit_bytes: int) -> Iterator[None]:
    """No file may grow beyond this: writes are cut short, then fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_each_event_is_a_line(path: Path, sink: JsonlSink) -> None:
    assert sink.send([envelope(1), envelope(2)]) == 2
    assert sink.send([envelope(3)]) == 1

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["data"] for line in lines] == [{"seq": 1}, {"seq": 2}, {"seq": 3}]
    assert lines[0]["subject"] == "直播间"


def test_appends_to_what_is_there(path: Path, sink: JsonlSink) -> None:
    sink.send([envelope(1)])
    sink.close()
    sink.close()
    again = JsonlSink(path)
    again.send([envelope(2)])
    again.close()

    assert ids(path) == ["incident:1", "incident:2"]


def test_begins_anew_when_the_file_was_moved_away(path: Path, sink: JsonlSink) -> None:
    sink.send([envelope(1)])
    rotated = path.rename(path.with_suffix(".1"))
    sink.send([envelope(2)])

    assert (ids(rotated), ids(path)) == (["incident:1"], ["incident:2"])


def test_follows_a_file_put_in_its_place(path: Path, sink: JsonlSink) -> None:
    sink.send([envelope(1)])
    path.rename(path.with_suffix(".1"))
    path.touch()
    sink.send([envelope(2)])

    assert ids(path) == ["incident:2"]


def test_a_line_cut_off_by_a_crash_does_not_swallow_the_next(path: Path, sink: JsonlSink) -> None:
    path.parent.mkdir()
    path.write_bytes(envelope(1).structured() + b"\n" + envelope(2).structured()[:20])
    sink.send([envelope(2)])

    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert [json.loads(lines[index])["id"] for index in (0, 2)] == ["incident:1", "incident:2"]


def test_a_full_disk_leaves_no_half_line(path: Path, sink: JsonlSink) -> None:
    sink.send([envelope(1)])
    with file_size_limit(path.stat().st_size + 100), pytest.raises(DeliveryError, match="File too large"):
        sink.send([envelope(2)])

    assert ids(path) == ["incident:1"]
    sink.send([envelope(2)])
    assert ids(path) == ["incident:1", "incident:2"]


def test_what_cannot_be_written_is_named(path: Path, sink: JsonlSink) -> None:
    path.mkdir(parents=True)

    with pytest.raises(DeliveryError) as raised:
        sink.send([envelope(1)])

    assert str(raised.value) == f"{path}: Is a directory: make it writable, with free space"
    path.rmdir()
    assert sink.send([envelope(1)]) == 1
