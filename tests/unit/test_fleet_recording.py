"""Records: a line per frame, files that are begun anew, and an engine that never waits for the disk."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from streammon.entities import Observation
from streammon.fleet import recording
from streammon.fleet.recording import Recorder, RecordFile
from streammon.judge.recording import read_recording
from streammon.metrics import Metrics
from tests.unit.colours import RED, frame, looked, metrics, room, value

DROPPED = "streammon_records_dropped_total"


def seen(at_s: float) -> list[Observation]:
    return looked(frame(RED, at_s))


def to_file(path: Path, max_bytes: int, keep: int, counted: Metrics) -> Recorder:
    return Recorder([RecordFile(path, max_bytes=max_bytes, keep=keep)], counted)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_what_was_taken_can_be_read_back_in_order_with_its_room(tmp_path: Path) -> None:
    path = tmp_path / "made" / "records.jsonl"
    counted = metrics()
    recorder = to_file(path, 10_000_000, 3, counted)
    recorder.start()
    for second in range(500):
        recorder.take(room(), seen(second))
    recorder.take(room(), [])
    assert recorder.close()
    assert recorder.close()
    frames = list(read_recording(path))
    assert [frame.at_s for frame in frames] == list(range(500))
    assert (frames[0].room_id, frames[0].tenant, frames[0].interval_s) == ("r1", "acme", 2.0)
    assert frames[0].observations() == seen(0)
    assert value(counted, DROPPED) == 0.0
    assert "records" not in {thread.name for thread in threading.enumerate()}


def test_nobody_else_may_read_what_was_read_in_pictures(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "r.jsonl", max_bytes=100, keep=1)
    file.append(b"a\n")
    file.close()
    assert (tmp_path / "r.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_that_is_full_is_begun_anew_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    file = RecordFile(path, max_bytes=4, keep=3)
    for line in (b"0\n", b"longest\n", b"a\n", b"b\n", b"c\n", b"d\n", b"longer\n", b"e\n", b"f\n"):
        file.append(line)
    file.close()
    assert {kept.name: lines(kept) for kept in tmp_path.iterdir()} == {
        "r.jsonl": [b"e", b"f"],
        "r.jsonl.1": [b"longer"],
        "r.jsonl.2": [b"c", b"d"],
        "r.jsonl.3": [b"a", b"b"],
    }


def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"room')
    file = RecordFile(path, max_bytes=100, keep=1)
    file.append(b"a\n")
    file.close()
    assert lines(path) == [b'{"room', b"a"]


def test_what_no_disk_takes_is_counted_told_once_and_then_it_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "r.jsonl"
    (tmp_path / "folder").write_text("a file where the folder should be")
    counted = metrics()
    (track,) = to_file(path, 10_000, 1, counted)._tracks
    with caplog.at_level(logging.INFO):
        for second in range(3):
            track._write([recording._Seen(room=room(), observations=seen(second))])
        (tmp_path / "folder").unlink()
        track._write([recording._Seen(room=room(), observations=seen(3))])
    assert value(counted, DROPPED) == 3.0
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert [frame.at_s for frame in read_recording(path)] == [3.0]
    track._place.close()


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl"
    file = RecordFile(path, max_bytes=100, keep=1)
    file.append(b"a\n")
    write = os.write

    def full(fd: int, data: memoryview) -> int:
        if len(data) > 3:
            return write(fd, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.append(b"second\n")
    monkeypatch.undo()
    file.append(b"third\n")
    file.close()
    assert lines(path) == [b"a", b"third"]


def test_the_engine_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_MAX_WAITING", 2)
    counted = metrics()
    recorder = to_file(tmp_path / "r.jsonl", 10_000, 1, counted)
    for second in range(5):
        recorder.take(room(), seen(second))
    assert value(counted, DROPPED) == 3.0
    recorder.start()
    assert recorder.close()
    assert [frame.at_s for frame in read_recording(tmp_path / "r.jsonl")] == [0.0, 1.0]


def test_rooms_stand_side_by_side(tmp_path: Path) -> None:
    recorder = to_file(tmp_path / "r.jsonl", 10_000, 1, metrics())
    recorder.start()
    for room_id in ("r1", "r2"):
        observations = looked(frame(RED, 1.0, room_id))
        recorder.take(replace(room(room_id), interval_s=0.5), observations)
    recorder.close()
    assert [(f.room_id, f.interval_s) for f in read_recording(tmp_path / "r.jsonl")] == [("r1", 0.5), ("r2", 0.5)]


def test_what_a_model_on_trial_saw_names_its_version(tmp_path: Path) -> None:
    recorder = to_file(tmp_path / "r.jsonl", 10_000, 1, metrics())
    recorder.start()
    recorder.take(room(), seen(1.0))
    recorder.take(room(), seen(1.0), "new.onnx@0123")
    recorder.close()
    frames = list(read_recording(tmp_path / "r.jsonl"))
    assert [look.shadow for frame in frames for look in frame.looks] == [None, "new.onnx@0123"]
    assert frames[1].observations() == []
