"""`streammon watch` when things go wrong: Ctrl-C, kills, a broker that is not there, folders that cannot be written."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from sample_streams.broker import Broker
from sample_streams.child import free_port
from sample_streams.live_hls import LiveHls
from tests.integration.watching import CLIP, Watching, consume, need_weights

QR = "advertising.qr_code"


@pytest.fixture(autouse=True)
def _weights() -> None:
    need_weights()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveHls]:
    with LiveHls(_from_second(tmp_path, 6.0)) as stream:
        yield stream


def _from_second(folder: Path, start_s: float) -> Path:
    """The sample clip from the key frame at `start_s` on: its code comes two seconds later."""
    short = folder / "short.mp4"
    with av.open(str(CLIP)) as source, av.open(str(short), "w") as out:
        video = source.streams.video[0]
        source.seek(round(start_s * av.time_base))
        stream = out.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return short


def _events(path: Path) -> list[dict[str, Any]]:
    """The violations in a JSONL file."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line["data"] for line in lines if line["type"] == "streammon.violation.v1"]


def test_ctrl_c_ends_open_incidents_and_exits_with_0(tmp_path: Path, live: LiveHls) -> None:
    events = tmp_path / "events.jsonl"
    with Watching(tmp_path, live.url, "r", "--interval", "1s", "--events", str(events)) as watching:
        watching.wait_until_said("START", 40.0)
        assert watching.interrupt() == 0
    # Which incidents there are depends on when the watching begins.
    told = [(event["phase"], event["label"], event["end_reason"]) for event in _events(events)]
    begun = [label for phase, label, _ in told if phase == "start"]
    assert told == [("start", label, None) for label in begun] + [("end", label, "stopped") for label in begun]


def test_a_killed_ingest_process_is_replaced_and_the_incident_goes_on(tmp_path: Path, live: LiveHls) -> None:
    events = tmp_path / "events.jsonl"
    with Watching(tmp_path, live.url, "r", "--interval", "1s", "--events", str(events)) as watching:
        watching.wait_until_said("START", 40.0)
        os.kill(watching.ingest_pid(), signal.SIGKILL)
        watching.wait_until_said("session 2", 10.0)
        watching.wait_until_said("END", 30.0)
        assert watching.interrupt() == 0
    first = next(event["incident_id"] for event in _events(events) if event["phase"] == "start")
    mine = [event for event in _events(events) if event["incident_id"] == first]
    assert [(event["phase"], event["end_reason"]) for event in mine] == [("start", None), ("end", "cleared")]
    assert len({event["owner_epoch"] for event in mine}) == 1


def test_what_a_killed_monitor_left_open_is_ended_by_its_successor(tmp_path: Path, live: LiveHls) -> None:
    events = tmp_path / "events.jsonl"
    options = ("--interval", "1s", "--events", str(events))
    with Watching(tmp_path, live.url, "r", *options) as watching:
        watching.wait_until_said("START", 40.0)
        watching.kill()
    with Watching(tmp_path, live.url, "r", *options) as successor:
        successor.wait_until_said("worker_lost", 40.0)
        assert successor.interrupt() == 0
    told = _events(events)
    start = told[0]
    epoch = start["owner_epoch"]
    killed = [event for event in told if event["owner_epoch"] == epoch]
    assert (start["phase"], start["seq"]) == ("start", 1)
    lost = [event for event in told if event["owner_epoch"] == epoch + 1][: len(killed)]
    assert {event["end_reason"] for event in lost} == {"worker_lost"}
    assert [event["incident_id"] for event in lost] == [event["incident_id"] for event in killed]
    assert lost[0]["seq"] == killed[-1]["seq"] + 1, "a lower one would repeat an event's id"


def test_a_broker_that_comes_late_gets_everything(tmp_path: Path) -> None:
    with Broker() as broker:
        broker.stop()
        with Watching(tmp_path, str(_from_second(tmp_path, 6.0)), "r", "--kafka", broker.bootstrap) as watching:
            watching.wait_until_said("START", 40.0)
            watching.wait_until_said("kafka", 10.0)
            broker.restart()
            watching.wait_until_said("END", 30.0)
            assert watching.interrupt() == 0
        consumed = consume(broker.bootstrap, ["r"], 15.0)
    assert [event.phase.value for event in consumed.violations][:2] == ["start", "end"]
    assert [event.seq for event in consumed.violations] == list(range(1, len(consumed.violations) + 1))


def test_a_broker_that_never_comes_costs_nothing_and_is_told(tmp_path: Path) -> None:
    clip, kafka = str(_from_second(tmp_path, 6.0)), f"127.0.0.1:{free_port()}"
    with Watching(tmp_path, clip, "r", "--kafka", kafka) as watching:
        watching.wait_until_said("START", 40.0)
        assert watching.interrupt() == 0
    assert "events for kafka are kept" in watching.said
    assert "Traceback" not in watching.said


def test_an_evidence_folder_that_cannot_be_written_is_told_and_the_events_go_out(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file where the folder should be")
    config = tmp_path / "streammon.yaml"
    config.write_text("version: 1\nevidence: {store: pictures}\n")
    with Watching(tmp_path, str(_from_second(tmp_path, 6.0)), "r", "--config", str(config)) as watching:
        watching.wait_until_said("START", 40.0)
        watching.wait_until_said("evidence folder", 10.0)
        assert watching.interrupt() == 0
    assert "Traceback" not in watching.said


def test_a_url_that_nobody_answers_is_a_state_with_its_reason_and_no_traceback(tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/secret-key"
    with Watching(tmp_path, url, "r") as watching:
        watching.wait_until_said("(unreachable)  cannot connect: Connection refused; check host", 40.0)
        assert watching.interrupt() == 0
    assert "Traceback" not in watching.said
    assert "secret-key" not in watching.said


@pytest.mark.parametrize(("content", "reason"), [(b"<html>no stream</html>" * 100, "not_media"), (None, "no_video")])
def test_what_is_no_video_fails_with_its_reason_and_exit_1(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "input.mp4"
    if content is None:
        _audio_only(path)
    else:
        path.write_bytes(content)
    with Watching(tmp_path, str(path), "r") as watching:
        assert watching.wait(40.0) == 1
    assert f"ROOM    failed       r  session 0  ({reason})" in watching.said
    assert "Traceback" not in watching.said


def _audio_only(path: Path) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48_000)
        silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        silence.sample_rate = 48_000
        out.mux(stream.encode(silence))
        out.mux(stream.encode(None))


def test_a_state_folder_in_use_is_refused(tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/x"
    with Watching(tmp_path, url, "r") as first:
        first.wait_until_said("watching", 40.0)
        with Watching(tmp_path, url, "r") as second:
            assert second.wait(40.0) == 1
            assert "another process has it open" in second.said
        assert first.interrupt() == 0
