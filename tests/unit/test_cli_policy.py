"""`streammon policy`: faults with their lines, the rules that a policy comes to, and what it would have raised."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from streammon.cli import app
from streammon.judge.recording import encode_frame
from tests.unit.judging import ADULT, ROOM, look, picture, write

POLICY = """version: 1
id: tried
labels:
  pornography.adult: {review: 0.6, block: 0.9, confirm: 2 in 10s, clear_after: 5s, actions: [cut]}
  pornography.child: {review: 0.5}
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def recorded(folder: Path, *scores: tuple[float, float]) -> Path:
    path = folder / "seen.jsonl"
    lines = [encode_frame(ROOM, [look(at_s, picture(score))]) for at_s, score in scores]
    path.write_bytes(b"\n".join(lines))
    return path


def test_check_shows_what_a_policy_comes_to(tmp_path: Path) -> None:
    path = write(tmp_path, "p.yaml", POLICY)
    result = run("check", path)
    assert (result.exit_code, result.stderr) == (0, "")
    head, _, adult, child = result.stdout.splitlines()
    assert head.startswith(f"{path}: tried, version ")
    assert adult.split() == ["pornography.adult", "0.6", "0.9", "2", "in", "10s", "5s", "0s", "3", "cut"]
    assert child.split()[:3] == ["pornography.child", "0.5", "-"]
    assert "pictures are not kept" in child


def test_check_warns_of_what_cannot_work(tmp_path: Path) -> None:
    path = write(tmp_path, "p.yaml", POLICY)
    result = run("check", path, "--interval", "20s")
    assert result.exit_code == 0
    assert f"{path}: warning: pornography.adult: `confirm: 2 in 10s` can never be met" in result.stderr


def test_check_tells_the_faults_of_all_files(tmp_path: Path) -> None:
    good = write(tmp_path, "a.yaml", POLICY)
    bad = write(tmp_path, "b.yaml", POLICY.replace("0.6", "6").replace("id:", "name:"))
    gone = tmp_path / "c.yaml"
    result = run("check", good, bad, gone)
    assert result.exit_code == 2
    assert result.stdout.startswith(f"{good}: tried")
    faults = result.stderr.splitlines()
    assert faults[0] == f"{bad}:1: id: is required"
    assert faults[-1] == f"{gone}:1: cannot be read: No such file or directory"
    assert len(faults) == 4


@pytest.mark.parametrize("interval", ["often", "0", "11m"])
def test_check_refuses_an_interval(tmp_path: Path, interval: str) -> None:
    result = run("check", write(tmp_path, "p.yaml", POLICY), "--interval", interval)
    assert result.exit_code == 2
    assert "should be" in result.stderr


SEEN: Sequence[tuple[float, float]] = [(0, 0.7), (2, 0.95), (4, 0.95), (10, 0.1), (12, 0.7), (13, 0.7)]


def test_try_says_what_would_have_been_raised(tmp_path: Path) -> None:
    result = run("test", write(tmp_path, "p.yaml", POLICY), recorded(tmp_path, *SEEN))
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[1:4] for line in lines[:5]] == [
        ["START", "review", ADULT],
        ["UPDATE", "block", ADULT],
        ["END", "block", ADULT],
        ["START", "review", ADULT],
        ["END", "review", ADULT],
    ]
    assert lines[5] == "6 frames of 1 rooms: 2 incidents"
    assert lines[6].split() == [ADULT, "1", "review", "1", "block", "ended:", "1", "cleared,", "1", "stopped"]


def test_try_tells_tools_too(tmp_path: Path) -> None:
    result = run("test", write(tmp_path, "p.yaml", POLICY), recorded(tmp_path, *SEEN), "--json")
    *events, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["phase"] for event in events] == ["start", "update", "end", "start", "end"]
    assert last == {
        "summary": {
            "frames": 6,
            "rooms": 1,
            "labels": {ADULT: {"block": 1, "cleared": 1, "review": 1, "stopped": 1}},
        }
    }


def test_try_of_a_policy_or_a_recording_that_is_not_valid_says_where(tmp_path: Path) -> None:
    policy = write(tmp_path, "p.yaml", POLICY)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(encode_frame(replace(ROOM, room_id="r"), [look(0)]) + b"\n[]\n")
    result = run("test", policy, broken)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{broken}:2: Expected `object`, got `array`")
    assert run("test", write(tmp_path, "q.yaml", "version: 1\n"), broken).exit_code == 2
