"""`streammon run` as an operator uses it: many rooms, kills of every process, an ordered stop, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sample_streams.child import free_port
from streammon.fleet.engine_link import MODULE
from tests.integration.watching import CLIP

ENGINE, INGEST = MODULE, "streammon.ingest.rooms.process"
ROOMS = ("a", "b", "c")
_STOP_WITHIN_S = 30.0


class Running:
    """A `streammon run` in a folder; what it says goes to a file there. A context manager: killed at its end."""

    def __init__(self, folder: Path, name: str, settings: str = "", *, detectors: str = "qr", port: int = 0) -> None:
        self._log = folder / f"{name}.log"
        self.events = folder / "events.jsonl"
        self.port = port or free_port()
        config = folder / f"{name}.yaml"
        config.write_text(
            f"version: 1\ninterval: 500ms\ndetectors: [{detectors}]\nrooms: rooms.yaml\nevents: events.jsonl\n"
            f"state: state\ningest: {{max_rooms: 2}}\nhttp: {{port: {self.port}}}\n{settings}"
        )
        command = [sys.executable, "-c", "from streammon.cli import main; main()", "run", "-c", str(config), "-v"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    @property
    def said(self) -> str:
        """All that it and its children have said so far."""
        return self._log.read_text(encoding="utf-8")

    def until(self, what: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Fails where that does not come true in time."""
        until_s = time.monotonic() + timeout_s
        while not what():
            if time.monotonic() > until_s or self.process.poll() is not None:
                pytest.fail(f"it did not come; what was said:\n{self.said}")
            time.sleep(0.05)

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.said

    def pids(self, module: str) -> list[int]:
        """Those of its processes that run a module."""
        return [pid for pid in descendants(self.process.pid) if module in command_line(pid)]

    def engine(self) -> int:
        """The engine's process, once there is one."""
        self.until(lambda: bool(self.pids(ENGINE)))
        return self.pids(ENGINE)[0]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=10.0)

    def ready(self) -> bool:
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str) -> dict[tuple[str, ...], float]:
        """A metric's samples by the values of their labels."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return {tuple(sample.labels.values()): sample.value for sample in samples}

    def up(self) -> bool:
        """Whether the supervisor has found that its engine lives."""
        return self.ready() and self.metric("streammon_engine_up") == {("0",): 1.0}

    def phases(self, phase: str) -> list[dict[str, Any]]:
        """The incidents' events of that phase so far."""
        lines = self.events.read_text(encoding="utf-8").splitlines() if self.events.exists() else []
        told = [json.loads(line) for line in lines]
        data = [event["data"] for event in told if event["type"] == "streammon.violation.v1"]
        return [event for event in data if event["phase"] == phase]

    def all_seen(self) -> bool:
        """Whether an incident is open in every room."""
        open_now = {event["incident_id"]: event["room_id"] for event in self.phases("start")}
        for event in self.phases("end"):
            open_now.pop(event["incident_id"], None)
        return set(open_now.values()) == set(ROOMS)

    def terminate(self) -> int:
        """SIGTERM. Returns the exit status."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running; it said:\n{self.said}")

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        left = descendants(self.process.pid)
        self.process.kill()
        self.process.wait(_STOP_WITHIN_S)
        until_s = time.monotonic() + 5.0
        while any(map(is_ours, left)) and time.monotonic() < until_s:
            time.sleep(0.05)  # they end by themselves, if they are not hung
        for pid in filter(is_ours, left):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The processes that this one, and those that they, have started."""
    try:
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except FileNotFoundError:
        return []
    return [one for child in children for one in (child, *descendants(child))]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""


def is_ours(pid: int) -> bool:
    """Whether it runs, and is an engine or an ingest process: ids are used again. A dead one has no command line."""
    return any(module in command_line(pid) for module in (ENGINE, INGEST))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the list of three rooms, all of which show a code after eight seconds."""
    entries = "".join(f"- {{id: {room}, url: {CLIP}}}\n" for room in ROOMS)
    (tmp_path / "rooms.yaml").write_text(f"version: 1\nrooms:\n{entries}")
    return tmp_path


def test_a_killed_engine_is_replaced_and_a_stop_ends_every_incident(folder: Path) -> None:
    # Incidents that stay open, however far apart a slow machine opens the rooms.
    patient = "version: 1\nid: patient\ndefaults: {review: 0.5, clear_after: 5m}\nlabels: {advertising.qr_code: {}}\n"
    (folder / "patient.yaml").write_text(patient)
    with Running(folder, "run", "policies: {files: [patient.yaml], default: patient}\n") as run:
        run.until(run.ready)
        assert len(run.pids(INGEST)) == 2
        assert str(CLIP) not in "".join(map(command_line, descendants(run.process.pid)))
        run.until(run.all_seen)
        assert {room for (room,) in run.metric("streammon_frames_sampled_total")} == set(ROOMS)
        assert run.up()

        lost = {event["incident_id"] for event in run.phases("start")}
        os.kill(run.engine(), signal.SIGKILL)
        run.until(run.says("engine 0 died (SIGKILL)"))
        run.until(lambda: lost <= {event["incident_id"] for event in run.phases("end")})
        assert {e["end_reason"] for e in run.phases("end") if e["incident_id"] in lost} == {"worker_lost"}
        run.until(run.ready)
        assert run.metric("streammon_engine_restarts_total")["0", "died"] == 1.0

        run.until(run.all_seen)
        assert run.terminate() == 0
    starts, ends = run.phases("start"), run.phases("end")
    assert sorted(event["incident_id"] for event in starts) == sorted(event["incident_id"] for event in ends)
    assert {event["end_reason"] for event in ends if event["incident_id"] not in lost} == {"stopped"}
    assert "Traceback" not in run.said


def test_what_a_killed_supervisor_leaves_ends_and_a_new_one_takes_over(folder: Path) -> None:
    with Running(folder, "first") as first:
        first.until(first.ready)
        with Running(folder, "second", port=first.port) as second:
            assert second.wait() == 1
            assert f"is in use by process {first.process.pid}" in second.said
        engine, left = first.engine(), descendants(first.process.pid)
        assert len(left) == 3
        os.kill(engine, signal.SIGSTOP)  # so that it cannot let go before its successor asks
        first.process.kill()
        first.process.wait(_STOP_WITHIN_S)
        try:
            with Running(folder, "third") as third:
                third.until(third.says(f"for process {engine} to let go of"))
                assert third.get("/livez").status_code == 200
                assert third.get("/readyz").status_code == 503
                os.kill(engine, signal.SIGCONT)
                third.until(lambda: not any(map(is_ours, left)), 10.0)
                third.until(third.ready)
                assert third.metric("streammon_engine_restarts_total")["0", "died"] == 0.0
                assert third.terminate() == 0
        finally:
            for pid in filter(is_ours, left):
                os.kill(pid, signal.SIGKILL)


def test_a_hung_engine_is_killed_and_a_dead_one_too_many_ends_the_run(folder: Path) -> None:
    with Running(folder, "run", "supervisor: {max_restarts: 1, hung_after: 1s}\n") as run:
        run.until(run.up)
        hung = run.engine()
        os.kill(hung, signal.SIGSTOP)
        run.until(run.says("engine 0 was killed: /livez does not answer"))
        metrics = run.get("/metrics").text
        assert 'streammon_engine_restarts_total{engine="0",reason="hung"} 1.0' in metrics
        run.until(lambda: run.pids(ENGINE) not in ([hung], []))
        run.until(run.ready)
        os.kill(run.engine(), signal.SIGKILL)
        assert run.wait() == 1
    assert "engine 0 died (SIGKILL), and is given up: 1 restarts in 600 s are allowed" in run.said
    assert "Traceback" not in run.said


def test_an_engine_without_weights_is_not_tried_again(folder: Path) -> None:
    with Running(folder, "run", f"models: {folder}/none\n", detectors="nsfw") as run:
        assert run.wait() == 1
    assert "run `streammon models pull" in run.said
    assert "engine 0 cannot run as it is configured; it said why above" in run.said
    assert run.said.count("is process") == 1
    assert "Traceback" not in run.said


def test_faults_of_rooms_and_policies_are_all_told_and_nothing_is_started(folder: Path) -> None:
    (folder / "rooms.yaml").write_text("version: 1\nrooms:\n- {id: a, url: x}\n- {id: a, url: 'ftp://h/s3cr3t'}\n")
    (folder / "broken.yaml").write_text("version: 1\nid: broken\nlabels: {foo: {review: 1}}\n")
    with Running(folder, "run", "policies: {files: [broken.yaml], default: broken}\n") as run:
        assert run.wait() == 2
    told = run.said.splitlines()
    assert [line.removeprefix(f"{folder}/").partition(": ")[0] for line in told][-2:] == ["rooms.yaml:4"] * 2
    assert any(line.startswith(f"{folder}/broken.yaml:3: labels.foo") for line in told)
    assert "s3cr3t" not in run.said
    assert not (folder / "state").exists()


@pytest.mark.parametrize("missing", ["rooms", "events"])
def test_what_would_watch_nothing_or_tell_nobody_is_refused(folder: Path, missing: str) -> None:
    config = folder / "s.yaml"
    config.write_text("version: 1\ndetectors: [qr]\nrooms: rooms.yaml\nevents: events.jsonl\n".replace(
        {"rooms": "rooms: rooms.yaml\n", "events": "events: events.jsonl\n"}[missing], ""
    ))  # fmt: skip
    command = [sys.executable, "-c", "from streammon.cli import main; main()", "run", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30.0, check=False, cwd=folder)
    assert done.returncode == 2
    assert "is required by `run`" in done.stderr
    assert not (folder / "streammon-state").exists()
