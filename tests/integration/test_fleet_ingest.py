"""The ingest supervisor with real processes and a real live stream: what dies is replaced, until it is too often."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from sample_streams.live_hls import LiveHls
from streammon.entities import RoomState
from streammon.errors import IngestCrashed
from streammon.fleet.ingest import IngestSupervisor
from streammon.ingest import handle as module
from streammon.ingest.mailbox import Mailbox
from streammon.ingest.wire import RoomChanged
from streammon.metrics import Metrics
from tests.integration.ingesting import CLIP, CONFIG, Ear, alive, held, new_mailbox, room, take, until_dead


def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    give_up_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_s, "it did not come"
        time.sleep(0.01)


class Engine:
    """What a supervisor reports to."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.fatal: list[IngestCrashed] = []
        self.mailbox: Mailbox = new_mailbox()
        self.metrics = Metrics(CollectorRegistry())
        self.supervisor = IngestSupervisor(CONFIG, self.mailbox, self.metrics, self.ear.room_changed, self.fatal.append)

    def pid_after(self, old: int | None, within_s: float = 10.0) -> int:
        """The process that took over from `old`."""
        until(lambda: self.supervisor.pid not in (None, old), within_s)
        pid = self.supervisor.pid
        assert pid is not None
        return pid

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def engine() -> Iterator[Engine]:
    before = held()
    made = Engine()
    yield made
    made.supervisor.close()
    made.supervisor.close()
    assert made.supervisor.pid is None
    del made.supervisor
    assert held()[2:] == before[2:]


def test_a_killed_process_is_replaced_and_the_stream_goes_on_as_the_next_session(engine: Engine) -> None:
    with LiveHls(CLIP, segment_s=2.0) as stream:
        engine.supervisor.start([room(stream.url)])
        before = take(engine.mailbox, 3)
        old = engine.pid_after(None)
        os.kill(old, signal.SIGKILL)
        new = engine.pid_after(old)
        engine.ear.until(lambda: engine.ear.states().count(RoomState.STREAMING) == 2)
        after = take(engine.mailbox, 6)
        engine.supervisor.close()
    assert not alive(old)
    assert not alive(new)
    assert {frame.moment.session for frame in before} == {1}
    assert [frame.moment.session for frame in after][-3:] == [2, 2, 2]
    assert after[-1].moment.received_at > before[-1].moment.received_at
    assert engine.ear.states()[:5] == [
        RoomState.CONNECTING, RoomState.STREAMING, RoomState.BACKING_OFF, RoomState.CONNECTING, RoomState.STREAMING,
    ]  # fmt: skip
    assert [change.session for change in engine.ear.changes[:5]] == [0, 1, 1, 1, 2]
    assert engine.ear.changes[2].reason == "ingest_lost"
    assert engine.counted("streammon_ingest_restarts_total") == 1.0
    assert (engine.counted("streammon_frames_sampled_total", room="r1") or 0) >= 3
    assert engine.fatal == []


def test_a_process_that_hangs_is_replaced(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_S", 2.5)
    engine.supervisor.start([room(CLIP)])
    take(engine.mailbox, 1)
    old = engine.pid_after(None)
    os.kill(old, signal.SIGSTOP)
    engine.pid_after(old, 5.0)
    engine.ear.until(lambda: engine.ear.states().count(RoomState.STREAMING) == 2)
    until_dead(old, 1.0)


def test_a_process_that_dies_too_often_is_given_up_by_name(engine: Engine) -> None:
    engine.supervisor.start([room(CLIP, room_id="a"), room(CLIP, room_id="b")])
    pid: int | None = None
    for _ in range(5):
        pid = engine.pid_after(pid)
        os.kill(pid, signal.SIGKILL)
    os.kill(engine.pid_after(pid), signal.SIGKILL)
    until(lambda: len(engine.fatal) > 0)
    assert [str(error) for error in engine.fatal] == ["the ingest process died 6 times in 300 s; its log says of what"]
    assert engine.supervisor.pid is None
    assert [change.room_id for change in engine.ear.changes if change.reason == "ingest_lost"] == ["a", "b"] * 6


def test_rooms_that_have_ended_are_not_watched_again(engine: Engine) -> None:
    engine.supervisor.start([room("/nowhere.mp4", room_id="a"), room(CLIP, room_id="b")])
    engine.ear.until(lambda: RoomState.FAILED in engine.ear.states())
    take(engine.mailbox, 1)
    old = engine.pid_after(None)
    os.kill(old, signal.SIGKILL)
    engine.ear.until(lambda: engine.ear.states().count(RoomState.STREAMING) == 2)
    assert [change.room_id for change in engine.ear.changes if change.reason == "ingest_lost"] == ["b"]
    assert [change.room_id for change in engine.ear.changes].count("a") == 2


def test_a_close_between_a_death_and_the_restart_leaves_no_process(engine: Engine) -> None:
    def close_when_lost(change: RoomChanged) -> None:
        if change.reason == "ingest_lost":
            supervisor.close()
        engine.ear.room_changed(change)

    supervisor = IngestSupervisor(CONFIG, engine.mailbox, engine.metrics, close_when_lost, engine.fatal.append)
    supervisor.start([room(CLIP)])
    pid = supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    engine.ear.until(lambda: RoomState.BACKING_OFF in engine.ear.states())
    until(lambda: f"ingest-reader-{pid}" not in {thread.name for thread in threading.enumerate()})
    assert supervisor.pid is None
