"""Keeping an engine: what it dies of, how often, how it ends; who owns a state folder; what a supervisor loads."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from streammon.backoff import Backoff
from streammon.config import shipped
from streammon.detect.config import DetectConfig
from streammon.entities import Room
from streammon.errors import StreammonError
from streammon.fleet.config import Settings, SupervisorConfig, load_settings
from streammon.fleet.engine_link import UNUSABLE, Begin, as_told, how_it_ended, private_folder
from streammon.fleet.keeper import EngineKeeper, SupervisorMetrics
from streammon.fleet.room_list import RoomFile
from streammon.fleet.state_lock import held
from streammon.fleet.supervisor import Supervisor
from streammon.serve.upstream import Upstream
from tests.unit.judging import write

CONFIG = SupervisorConfig(max_restarts=2, restarts_within=100.0, start_within=60.0, hung_after=30.0)
KILLED = -9


@dataclass(slots=True, kw_only=True)
class Engine:
    """A process that is as its fields say."""

    pid: int
    code: int | None = None
    ill: str | None = None
    asked_to_stop: bool = False
    closed: bool = False
    upstream: Upstream = field(default_factory=lambda: Upstream(Path("unused.sock")))

    def exit_code(self) -> int | None:
        return self.code

    def trouble(self) -> str | None:
        return self.ill

    def not_ready(self) -> str | None:
        return self.ill

    def stop(self) -> None:
        self.asked_to_stop = True

    def close(self) -> None:
        self.closed = True


class Bench:
    """A keeper whose clock and engines are at hand; an engine is restarted after exactly the back-off's bound."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.started: list[Engine] = []
        self.metrics = SupervisorMetrics(CollectorRegistry())
        backoff = Backoff(first_s=1.0, cap_s=8.0, draw=lambda: 1.0)
        self.keeper = EngineKeeper("0", self._start, CONFIG, self.metrics, clock=lambda: self.now_s, backoff=backoff)

    def _start(self) -> Engine:
        self.started.append(Engine(pid=100 + len(self.started)))
        return self.started[-1]

    @property
    def engine(self) -> Engine:
        """The newest one."""
        return self.started[-1]

    def after(self, seconds: float) -> None:
        """Lets time pass in small steps."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(self.now_s + 0.5, until_s)
            self.keeper.tick()

    def count(self, reason: str) -> float:
        return self.metrics.registry.get_sample_value(
            "streammon_engine_restarts_total", {"engine": "0", "reason": reason}
        ) or 0.0  # fmt: skip

    def up(self) -> float | None:
        return self.metrics.registry.get_sample_value("streammon_engine_up", {"engine": "0"})


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_engine_is_started_once_and_is_up_when_it_says_so(bench: Bench) -> None:
    assert (bench.up(), bench.keeper.not_ready()) == (0.0, ["engine 0: it does not run"])
    bench.after(20.0)
    assert (len(bench.started), bench.up(), bench.keeper.not_ready()) == (1, 1.0, [])


def test_one_that_dies_is_started_again_after_a_while(bench: Bench) -> None:
    bench.after(10.0)
    bench.engine.code = KILLED
    bench.after(1.0)
    assert (len(bench.started), bench.up(), bench.count("died")) == (1, 0.0, 1.0)
    assert bench.started[0].closed
    bench.after(1.0)
    assert len(bench.started) == 2
    bench.after(3.0)
    assert bench.up() == 1.0


def test_one_that_ends_unasked_has_died_too(bench: Bench) -> None:
    bench.after(10.0)
    bench.engine.code = 0
    bench.after(3.0)
    assert (len(bench.started), bench.count("died")) == (2, 1.0)


def test_too_many_deaths_are_given_up_and_told(bench: Bench) -> None:
    for _ in range(2):
        bench.after(10.0)
        bench.engine.code = KILLED
    bench.after(10.0)
    bench.engine.code = KILLED
    with pytest.raises(StreammonError, match=r"engine 0 died \(SIGKILL\), and is given up: 2 restarts in 100 s"):
        bench.after(10.0)
    assert (len(bench.started), bench.count("died")) == (3, 2.0)
    assert all(engine.closed for engine in bench.started)


def test_deaths_long_ago_are_forgiven(bench: Bench) -> None:
    for _ in range(6):
        bench.after(60.0)
        bench.engine.code = KILLED
    bench.after(60.0)
    assert len(bench.started) == 7


def test_one_that_says_no_for_too_long_is_killed_and_counted(bench: Bench) -> None:
    bench.after(10.0)
    bench.engine.ill = "the judge is stuck"
    bench.after(27.0)
    assert (len(bench.started), bench.up()) == (1, 0.0)
    bench.after(10.0)
    assert (len(bench.started), bench.count("hung"), bench.count("died")) == (2, 1.0, 0.0)
    assert bench.started[0].closed


def test_one_that_comes_round_in_time_is_left_alone(bench: Bench) -> None:
    bench.after(10.0)
    for _ in range(5):
        bench.engine.ill = "busy"
        bench.after(25.0)
        bench.engine.ill = None
        bench.after(5.0)
    assert len(bench.started) == 1


def test_one_that_warms_up_has_more_time(bench: Bench) -> None:
    bench.after(0.5)
    bench.engine.ill = "/livez does not answer"
    bench.after(50.0)
    assert len(bench.started) == 1
    bench.after(20.0)
    assert (len(bench.started), bench.count("hung")) == (2, 1.0)


def test_one_that_cannot_run_as_it_is_configured_is_not_tried_again(bench: Bench) -> None:
    bench.after(0.5)
    bench.engine.ill = "/livez does not answer"
    bench.after(3.0)
    bench.engine.code = UNUSABLE
    with pytest.raises(StreammonError, match="cannot run as it is configured"):
        bench.after(1.0)
    assert (len(bench.started), bench.engine.closed, bench.count("died")) == (1, True, 0.0)


def test_one_that_has_worked_and_is_configured_wrongly_now_is_tried_until_that_is_mended(bench: Bench) -> None:
    bench.after(1.0)
    for tries in range(1, 21):
        bench.engine.code = UNUSABLE
        bench.after(16.0)
        assert (len(bench.started), bench.count("unusable"), bench.count("died")) == (tries + 1, tries, 0.0)
    bench.after(2.0)
    assert bench.up() == 1.0


@pytest.mark.parametrize(("code", "in_order"), [(0, True), (1, False), (None, False)])
def test_an_end_is_in_order_where_the_engine_says_so(bench: Bench, code: int | None, in_order: bool) -> None:
    bench.after(5.0)
    bench.keeper.stop()
    assert (bench.engine.asked_to_stop, bench.keeper.ended()) == (True, False)
    bench.engine.code = code
    assert bench.keeper.ended() is (code is not None)
    assert bench.keeper.close() is in_order
    assert (bench.engine.closed, bench.up()) == (True, 0.0)


def test_where_none_runs_there_is_nothing_to_end(bench: Bench) -> None:
    bench.keeper.stop()
    assert bench.keeper.ended()
    assert bench.keeper.close()


@pytest.mark.parametrize(("code", "said"), [(-9, "SIGKILL"), (3, "exit status 3"), (-120, "signal 120")])
def test_how_an_engine_ended_is_said_for_people(code: int, said: str) -> None:
    assert how_it_ended(code) == said


def test_a_state_folder_is_one_process_s(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "a.lock"
    with held(lock, threading.Event()), pytest.raises(StreammonError, match=r"new is in use by process \d+; stop it"):
        _hold(lock)()
    _hold(lock)()


def test_a_lock_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "a.lock"
    second = threading.Thread(target=_hold(lock, wait_s=10.0))
    with held(lock, threading.Event()):
        second.start()
        while not caplog.records:
            second.join(0.01)
        assert second.is_alive()
    second.join(5.0)
    assert not second.is_alive()
    assert "waiting up to 10 s for process" in caplog.text


def test_who_is_stopped_waits_no_longer(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with held(tmp_path / "a.lock", threading.Event()), pytest.raises(StreammonError, match="stopped while process"):
        _hold(tmp_path / "a.lock", stop, wait_s=60.0)()


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    write(tmp_path, "file", "")
    with pytest.raises(StreammonError, match="make the state folder writable"):
        _hold(tmp_path / "file" / "a.lock")()


def _hold(lock: Path, stop: threading.Event | None = None, wait_s: float = 0.0) -> Callable[[], None]:
    def hold() -> None:
        with held(lock, stop if stop is not None else threading.Event(), wait_s):
            pass

    return hold


def test_a_supervisor_loads_no_decoder_no_runtime_and_no_broker_client() -> None:
    program = (
        "import sys; import streammon.cli, streammon.fleet.supervisor;"
        "print(*sorted({'av', 'onnxruntime', 'kafka'} & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == []


SETTINGS = """
rooms: rooms.yaml
interval: 500ms
state: state
policies: {tenants: {acme: live-strict}}
kafka: {bootstrap: "b:9092", security_protocol: SASL_SSL, sasl: {mechanism: PLAIN, username: u, password: {env: P}}}
deliver: {webhook: {url: "https://h/x", secret: {file: s}}, spool: {max_bytes: 5MiB}}
ingest: {allow_networks: [10.0.0.0/8], stall_after: 3s}
supervisor: {restarts_within: 5m}
"""


@pytest.mark.parametrize("text", ["", SETTINGS, None])
def test_an_engine_is_told_the_settings_as_they_were_checked(tmp_path: Path, text: str | None) -> None:
    path = shipped("streammon.yaml") if text is None else write(tmp_path, "s.yaml", text)
    settings = load_settings(path)
    assert Settings.model_validate_json(as_told(settings)) == settings


def test_an_engine_is_told_what_a_plug_in_s_section_adds() -> None:
    class Own(DetectConfig):
        size: int = 3

    assert b'"size":7' in as_told(Settings().model_copy(update={"detect": Own(size=7)}))


def test_an_engine_is_told_its_rooms_as_they_were_read() -> None:
    path = shipped("rooms.example.yaml")
    rooms = tuple(RoomFile(path, 2.0, policies=None, detectors=("ocr",)).rooms())
    begin = Begin(settings=b"{}", rooms=rooms, socket="s", log_level=20)
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(begin), type=Begin)
    assert read == begin
    assert all(isinstance(room, Room) for room in read.rooms)


def test_a_supervisor_needs_a_state_folder(tmp_path: Path) -> None:
    path = write(tmp_path, "rooms.yaml", "version: 1\nrooms: [{id: a, url: x}]\n")
    source = RoomFile(path, 2.0, policies=None, detectors=())
    with pytest.raises(ValueError, match="must be set"):
        Supervisor(Settings(), source)


def test_the_folder_of_an_engine_that_was_killed_with_its_supervisor_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    note, precious = tmp_path / "note", tmp_path / "precious"
    first = private_folder(note)
    (first / "engine.sock").touch()
    second = private_folder(note)
    assert (first.exists(), second.is_dir(), second.stat().st_mode & 0o777) == (False, True, 0o700)
    precious.mkdir()
    note.write_text(str(precious))
    private_folder(note)
    assert precious.is_dir()
