"""Recordings with a model on trial: its looks are judged only where somebody asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.errors import StreammonError
from streammon.events import Phase
from streammon.judge.recording import encode_frame, read_recording
from streammon.judge.replay import Replay
from streammon.judge.shadow import read_as_seen_by_shadow
from tests.unit.judging import ADULT, CODE, MONITOR, ROOM, code, look, picture, policy, rule, write
from tests.unit.test_cli_policy import POLICY, run

JUDGING = policy({ADULT: rule(clear_after_s=5), CODE: rule()})


def recorded(folder: Path) -> Path:
    """Five frames: the current model sees nothing, the one on trial does in the second and third, and comes late."""
    own = [
        encode_frame(ROOM, [look(at_s, picture(0.1)), look(at_s, detector="qr", labels=[CODE])]) for at_s in range(5)
    ]
    trial = {at_s: encode_frame(ROOM, [look(at_s, picture(0.95))], "new.onnx@0123") for at_s in (1, 2)}
    path = folder / "seen.jsonl"
    path.write_bytes(b"\n".join([own[0], own[1], own[2], trial[1], own[3], trial[2], own[4]]) + b"\n")
    return path


def test_what_a_model_on_trial_saw_is_not_judged(tmp_path: Path) -> None:
    replay = Replay(JUDGING, MONITOR)
    assert list(replay.run(read_recording(recorded(tmp_path)))) == []
    assert (replay.frames, replay.rooms) == (5, 1)
    late = list(read_recording(recorded(tmp_path)))[3]
    assert (late.observations(), late.looks[0].shadow) == ([], "new.onnx@0123")


def test_in_its_place_it_is_at_the_moment_of_its_frames(tmp_path: Path) -> None:
    frames = list(read_as_seen_by_shadow(recorded(tmp_path), "nsfw"))
    seen = {frame.at_s: [one.detector for one in frame.observations()] for frame in frames if frame.observations()}
    assert seen == {0: ["qr"], 1: ["qr", "nsfw"], 2: ["qr", "nsfw"], 3: ["qr"], 4: ["qr"]}
    start, *_ = Replay(JUDGING, MONITOR).run(frames)
    assert (start.phase, start.label, start.first.pts_s) == (Phase.START, ADULT, 1.0)


def test_a_recording_of_no_trial_is_told_so(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    with pytest.raises(StreammonError, match="nothing of a model on trial for detector 'qr'"):
        read_as_seen_by_shadow(path, "qr")


def test_the_command_judges_by_either(tmp_path: Path) -> None:
    tried, path = write(tmp_path, "p.yaml", POLICY), recorded(tmp_path)
    assert "5 frames of 1 rooms: 0 incidents" in run("test", tried, path).stdout
    assert "5 frames of 1 rooms: 1 incidents" in run("test", tried, path, "--shadow", "nsfw").stdout
    result = run("test", tried, path, "--shadow", "faces")
    assert (result.exit_code, "nothing of a model on trial" in result.stderr) == (1, True)


def test_codes_of_the_others_are_judged_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "seen.jsonl"
    whole = encode_frame(ROOM, [look(0, picture(0.1)), look(0, code("x"), detector="qr", labels=[CODE])])
    path.write_bytes(whole + b"\n" + encode_frame(ROOM, [look(0, picture(0.9))], "new.onnx@0123"))
    events = list(Replay(JUDGING, MONITOR).run(read_as_seen_by_shadow(path, "nsfw")))
    assert {event.label for event in events} == {ADULT, CODE}
