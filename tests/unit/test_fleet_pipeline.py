"""The engine's thread: frames in, committed events out, in order, through spool failures and to the very last frame."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.outbox import Outbox
from streammon.detect.change.room_reuse import RoomReuse
from streammon.detect.config import DetectConfig, ReuseConfig
from streammon.detect.scheduling.engine import Engine
from streammon.detect.scheduling.request import RequestClass
from streammon.entities import PictureState, RoomState
from streammon.errors import SpoolError, StreammonError
from streammon.events import EndReason, StreamChange, StreamEvent, ViolationEvent
from streammon.fleet import commit as commit_module
from streammon.fleet.attention import Attention
from streammon.fleet.commit import Committer
from streammon.fleet.live import LiveFrames
from streammon.fleet.pace import Pace
from streammon.fleet.pace_config import PaceConfig
from streammon.fleet.pipeline import Pipeline
from streammon.fleet.rooms import RoomBook
from streammon.fleet.tallies import EngineNews
from streammon.ingest.rooms.arena import Arena, create_arena_fd
from streammon.ingest.rooms.mailbox import Letter, Mailbox
from streammon.ingest.rooms.wire import FrameReady, RoomPicture, SamplesLost
from streammon.judge.room import Now
from tests.unit.colours import (
    ADULT,
    AT,
    BLACK,
    GORE,
    GREEN,
    MONITOR,
    RED,
    WHITE,
    Colour,
    ColourDetector,
    change,
    committed,
    metrics,
    plain,
    policy,
    room,
    until,
    value,
)

SLOTS = 64
SLOT_BYTES = 160 * 90 * 3


class Station:
    """A pipeline with a real mailbox, arena, engine and outbox, that watches r1 and r2, which are connecting."""

    def __init__(self, folder: Path, arena: Arena) -> None:
        self.arena = arena
        self.released: Counter[int] = Counter()
        self.failures: list[StreammonError] = []
        self.metrics = metrics()
        self.mailbox = Mailbox(self._overdue)
        self.detector = ColourDetector()
        self.outbox = Outbox(folder / "spool.sqlite")
        self.outbox.register_sinks(["memory"])
        rules = policy(folder)
        book = RoomBook(MONITOR, self.metrics)
        for room_id in ("r1", "r2"):
            now = Now(monotonic_s=time.monotonic(), utc=AT)
            book.open(room(room_id), 1, rules, [], now)
            book.change(change(RoomState.CONNECTING, room_id), now)
        committer = Committer(self.outbox, EvidenceConfig(store=str(folder)), lambda _: rules, self.metrics)
        reuse = RoomReuse(ReuseConfig(enabled=False))
        attention = Attention(reuse, Pace(PaceConfig()), lambda *_: None, lambda: 0.0, self.metrics)
        self.pipeline = Pipeline(self.mailbox, book, committer, self.metrics, attention)
        pipeline = self.pipeline
        news = EngineNews(self.metrics, pipeline.examined, pipeline.set_disabled, self.failures.append)
        frames = LiveFrames(self.mailbox, book.room, lambda: pipeline.full)
        self.engine = Engine([self.detector], {RequestClass.LIVE: frames}, news, DetectConfig())
        self.mailbox.on_put(self.engine.wake)
        pipeline.on_relief(self.engine.wake)
        self.slot = 0

    def _overdue(self, room_id: str) -> None:
        self.metrics.dropped.labels(room_id, "overdue").inc()
        self.pipeline.post(SamplesLost(room_id=room_id, samples=1))

    def start(self) -> None:
        """Starts the engine, then the judge."""
        self.engine.start()
        self.pipeline.start()

    def close(self) -> bool:
        """Ends both, as the monitor does: what waits is examined first."""
        drained = not self.engine.alive or self.pipeline._stop.is_set() or self.engine.drain(2.0)
        return self.pipeline.close() and self.engine.close() and drained

    def put(self, *colours: Colour, room_id: str = "r1", age_s: float = 0.0, session: int = 1) -> None:
        """Puts frames in as an ingest process's reader does, received a second apart, the first `age_s` ago."""
        for index, colour in enumerate(colours):
            slot, self.slot = self.slot, self.slot + 1
            self.arena.write(slot, plain(colour))
            received_s = time.monotonic() - age_s + index
            ready = FrameReady(
                room_id=room_id, slot=slot, seq=slot, session=session, pts_s=float(slot), program_at=None,
                received_at=AT, received_s=received_s, deadline_s=received_s + 4, key_frame=True, width=160, height=90,
                image_width=160, image_height=90,
            )  # fmt: skip
            release = partial(self.released.update, [slot])
            self.mailbox.put(Letter(ready=ready, arena=self.arena, release=release))

    def told(self, room_id: str = "r1") -> list[str]:
        """What was committed of a room, in order: `label phase`, `state`, or `picture` and what it amounts to."""
        return [_in_words(event) for event in committed(self.outbox) if event.room_id == room_id]

    def until_told(self, *words: str, room_id: str = "r1") -> None:
        until(self.outbox, lambda: self.told(room_id) == list(words))


def _in_words(event: ViolationEvent | StreamEvent) -> str:
    if isinstance(event, ViolationEvent):
        return f"{event.label} {event.phase.value}"
    return f"picture {event.picture}" if event.change is StreamChange.PICTURE else event.state.value


def pictured(picture: PictureState, session: int = 1) -> RoomPicture:
    return RoomPicture(room_id="r1", session=session, at=AT, picture=picture, width=160, height=90, resized=False)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    fd = create_arena_fd(SLOTS * SLOT_BYTES)
    with Arena(fd, slots=SLOTS, slot_bytes=SLOT_BYTES) as arena:
        made = Station(tmp_path, arena)
        yield made
        made.close()
        assert "judge" not in {thread.name for thread in threading.enumerate()}
        assert made.released == dict.fromkeys(range(made.slot), 1)
        made.outbox.close()
    os.close(fd)


def test_frames_are_judged_and_committed_while_it_runs(station: Station) -> None:
    station.start()
    station.pipeline.post(change(RoomState.STREAMING))
    station.until_told("streaming")
    station.put(RED, RED, BLACK, BLACK, GREEN)
    station.until_told("streaming", f"{ADULT} start", f"{ADULT} end", f"{GORE} start")
    assert station.detector.seen == [0, 1, 2, 3, 4]
    assert station.pipeline.alive
    assert value(station.metrics, "streammon_frames_analysed_total", detector="colour") == 5.0
    assert value(station.metrics, "streammon_frame_age_seconds_count") == 5.0
    assert not station.pipeline.drained


def test_a_room_s_end_waits_until_its_last_frames_are_judged(station: Station) -> None:
    station.put(BLACK, RED, RED)
    station.pipeline.post(change(RoomState.ENDED, reason="end_of_file"))
    station.start()
    station.until_told(f"{ADULT} start", f"{ADULT} end", "ended")
    end = next(e for e in committed(station.outbox) if isinstance(e, ViolationEvent) and e.end_reason is not None)
    assert end.end_reason is EndReason.ROOM_ENDED
    assert station.detector.seen == [0, 1, 2]


def test_it_is_drained_when_every_room_is_final_and_not_before(station: Station) -> None:
    station.start()
    station.pipeline.post(change(RoomState.ENDED, "r1"))
    station.until_told("ended")
    station.pipeline.post(change(RoomState.FAILED, "r2"))
    station.until_told("failed", room_id="r2")
    assert not station.pipeline.drained, "a stream that is over may come back"
    station.put(RED, room_id="r1")
    station.pipeline.post(change(RoomState.STOPPED, "r1"))
    until(station.outbox, lambda: station.pipeline.drained)
    assert station.told("r1") == ["ended", f"{ADULT} start", f"{ADULT} end", "stopped"]


def test_a_stream_that_comes_back_at_once_is_told_in_order(station: Station) -> None:
    station.put(BLACK, RED, RED)
    station.pipeline.post(change(RoomState.ENDED, reason="end_of_stream"))
    station.pipeline.post(change(RoomState.STREAMING, session=2))
    station.put(BLACK, GREEN, session=2)
    station.start()
    station.until_told(f"{ADULT} start", f"{ADULT} end", "ended", "streaming", f"{GORE} start")
    assert station.pipeline._rooms.states()["r1"] is RoomState.STREAMING


def test_what_the_picture_amounts_to_is_told_in_order_with_the_states(station: Station) -> None:
    station.pipeline.post(change(RoomState.STREAMING))
    station.pipeline.post(pictured(PictureState.LIVE))
    station.pipeline.post(pictured(PictureState.BLACK))
    station.pipeline.post(change(RoomState.BACKING_OFF, reason="ended"))
    station.start()
    station.until_told("streaming", "picture live", "picture black", "backing_off")


def test_a_picture_after_an_end_waits_with_it_for_the_frames_before(station: Station) -> None:
    station.put(BLACK, RED)
    station.pipeline.post(change(RoomState.STREAMING))
    station.pipeline.post(change(RoomState.ENDED, reason="end_of_stream"))
    station.pipeline.post(change(RoomState.STREAMING, session=2))
    station.pipeline.post(pictured(PictureState.LIVE, session=2))
    station.start()
    station.until_told("streaming", f"{ADULT} start", f"{ADULT} end", "ended", "streaming", "picture live")


def test_a_room_s_end_does_not_wait_for_the_frames_of_others(station: Station) -> None:
    station.put(BLACK, BLACK, RED, room_id="r2")
    station.pipeline.post(change(RoomState.ENDED, "r1"))
    station.start()
    station.until_told(f"{ADULT} start", room_id="r2")
    events = [event.room_id for event in committed(station.outbox)]
    assert events == ["r1", "r2"]


def test_a_stop_judges_what_waits_and_ends_every_incident(station: Station) -> None:
    station.put(RED, RED)
    station.put(GREEN, room_id="r2")
    station.start()
    assert station.close()
    assert station.told("r1") == [f"{ADULT} start", f"{ADULT} end", "stopped"]
    assert station.told("r2") == [f"{GORE} start", f"{GORE} end", "stopped"]
    assert station.outbox.open_incidents() == []
    assert station.pipeline.failure is None
    assert not station.pipeline.alive
    assert station.close()


def test_a_room_that_ended_just_before_the_stop_is_told_as_ended(station: Station) -> None:
    station.put(RED)
    station.pipeline.post(change(RoomState.STREAMING))
    station.pipeline.post(change(RoomState.FAILED, reason="not_media"))
    station.engine.start()
    assert station.engine.drain(2.0)
    station.pipeline._stop.set()
    station.pipeline.start()
    assert station.close()
    last = [event for event in committed(station.outbox) if event.room_id == "r1"][-1]
    assert isinstance(last, StreamEvent)
    assert (last.state, last.reason) == (RoomState.FAILED, "not_media")
    assert station.told("r2") == ["stopped"]


def test_an_overdue_frame_is_counted_and_not_judged(station: Station) -> None:
    station.put(RED, age_s=10.0)
    station.put(BLACK)
    station.start()
    until(station.outbox, lambda: station.detector.seen == [1])
    assert value(station.metrics, "streammon_frames_dropped_total", room="r1", reason="overdue") == 1.0
    assert station.told() == []


def test_a_frame_that_a_detector_fails_on_is_counted_and_clears_nothing(station: Station) -> None:
    station.put(RED, WHITE, WHITE, WHITE)
    station.start()
    until(station.outbox, lambda: set(station.detector.seen) == {0, 1, 2, 3})
    station.close()
    assert station.told() == [f"{ADULT} start", f"{ADULT} end", "stopped"]
    assert committed(station.outbox)[1].end_reason is EndReason.STOPPED  # type: ignore[union-attr]
    assert value(station.metrics, "streammon_frames_not_examined_total", detector="colour", reason="failed") == 3.0


def read_only(outbox: Outbox, value: str) -> None:
    with outbox._shared.reading() as db:
        db.execute(f"PRAGMA query_only = {value}")


def test_a_spool_that_fails_and_recovers_loses_no_event(
    station: Station, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commit_module, "_RETRY_S", 0.01)
    read_only(station.outbox, "1")
    station.put(RED, BLACK, BLACK, GREEN)
    station.start()
    with caplog.at_level(logging.ERROR):
        until(station.outbox, lambda: "judging waits" in caplog.text)
    assert station.told() == []
    read_only(station.outbox, "0")
    station.until_told(f"{ADULT} start", f"{ADULT} end", f"{GORE} start")
    assert station.pipeline.failure is None


def test_while_nothing_can_be_judged_frames_wait_where_they_are_dropped(station: Station) -> None:
    read_only(station.outbox, "1")
    station.put(*[RED] * 60)
    station.start()
    until(station.outbox, lambda: station.pipeline.full)
    station.put(RED)
    assert station.mailbox.waiting() > 0
    assert len(station.detector.seen) < 60
    read_only(station.outbox, "0")
    station.until_told(f"{ADULT} start")
    until(station.outbox, lambda: len(station.detector.seen) == 61)


def test_a_frame_of_a_room_that_is_not_ours_is_thrown_away(station: Station) -> None:
    station.put(RED, room_id="gone")
    station.put(RED)
    station.start()
    station.until_told(f"{ADULT} start")
    assert station.detector.seen == [1]
    assert not station.mailbox.waiting_until("gone", 1)


def test_a_stop_while_the_spool_fails_ends_the_thread_with_the_reason(station: Station) -> None:
    read_only(station.outbox, "1")
    station.put(RED)
    station.start()
    until(station.outbox, lambda: station.detector.seen == [0])
    assert station.pipeline.close(2.0)
    assert isinstance(station.pipeline.failure, SpoolError)
    read_only(station.outbox, "0")


def test_a_fault_of_its_own_is_told_and_logged(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    station.start()
    station.pipeline.post(change(RoomState.STREAMING, "nobody's room"))
    until(station.outbox, lambda: station.pipeline.failure is not None)
    assert "fault of its own" in str(station.pipeline.failure)
    assert "Traceback" in caplog.text
    assert station.close()


def test_a_pipeline_that_was_never_started_closes(station: Station) -> None:
    assert station.close()
