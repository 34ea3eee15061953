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


class Clock:
    """UTC epoch seconds, a second more at each look."""

    def __init__(self) -> None:
        self.now_s = 1795418100.0

    def __call__(self) -> float:
        self.now_s += 1
        return self.now_s


LINE_BYTES = len(envelope(1).structured()) + 1


def rotating(path: Path, *, lines: int, keep: int | None = None) -> JsonlSink:
    return JsonlSink(path, max_bytes=lines * LINE_BYTES, keep=keep, clock=Clock())


def all_ids(path: Path) -> list[str]:
    """Of the former files by name, then the present one."""
    former = sorted(file for file in path.parent.iterdir() if file != path)
    return [event_id for file in [*former, path] for event_id in ids(file)]


def test_a_file_that_would_grow_too_large_is_begun_anew(path: Path) -> None:
    sink = rotating(path, lines=3)
    for number in range(1, 9):
        sink.send([envelope(number)])
    sink.close()

    former = sorted(file.name for file in path.parent.iterdir() if file != path)
    assert former == ["events-20261123T071501.000000Z.jsonl", "events-20261123T071502.000000Z.jsonl"]
    assert all(file.stat().st_size <= 3 * LINE_BYTES for file in path.parent.iterdir())
    assert all_ids(path) == [f"incident:{number}" for number in range(1, 9)]


def test_a_batch_is_never_cut_in_two(path: Path) -> None:
    sink = rotating(path, lines=2)
    sink.send([envelope(1)])
    sink.send([envelope(number) for number in range(2, 7)])
    sink.close()

    assert ids(path) == [f"incident:{number}" for number in range(2, 7)]
    assert all_ids(path) == [f"incident:{number}" for number in range(1, 7)]


def test_an_empty_file_is_not_put_aside(path: Path) -> None:
    sink = rotating(path, lines=1)
    sink.send([envelope(1), envelope(2)])
    sink.close()

    assert list(path.parent.iterdir()) == [path]


def test_only_as_many_former_files_are_kept_and_nothing_else_is_touched(path: Path) -> None:
    path.parent.mkdir()
    strangers = [path.with_name("events-notes.jsonl"), path.with_name("other-20200101T000000.000000Z.jsonl")]
    for stranger in strangers:
        stranger.touch()
    sink = rotating(path, lines=1, keep=2)
    for number in range(1, 7):
        sink.send([envelope(number)])
    sink.close()

    assert all_ids(path) == ["incident:4", "incident:5", "incident:6"]
    assert all(stranger.exists() for stranger in strangers)


def test_two_former_files_of_one_moment_do_not_overwrite_each_other(path: Path) -> None:
    sink = JsonlSink(path, max_bytes=LINE_BYTES, clock=lambda: 1795418100.0)
    for number in range(1, 5):
        sink.send([envelope(number)])
    sink.close()

    assert all_ids(path) == ["incident:1", "incident:2", "incident:3", "incident:4"]


@pytest.mark.parametrize("step", ["rename", "unlink"])
def test_a_crash_in_the_middle_of_it_loses_no_line(path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = rotating(path, lines=1, keep=1)
    for number in (1, 2):
        sink.send([envelope(number)])

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, step, crash)
    with pytest.raises(KeyboardInterrupt):
        sink.send([envelope(3)])
    monkeypatch.undo()
    after = rotating(path, lines=1)
    after.send([envelope(3)])
    after.close()

    assert set(all_ids(path)) >= {"incident:2", "incident:3"}
