"""The rooms of one engine: each state becomes one event, a room that is given up stays so, blind time is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streammon.entities import Observation, Outcome, PictureState, RoomState
from streammon.events import AuditEvent, EndReason, Phase, StreamChange, StreamEvent, ViolationEvent
from streammon.fleet.rooms import Event, RoomBook
from streammon.ingest.moves import FINAL
from streammon.ingest.rooms.wire import RoomPicture
from streammon.judge.policy import Combination, Part, Policy
from streammon.metrics import Metrics
from tests.unit.colours import (
    ADULT,
    AT,
    BLACK,
    MONITOR,
    RED,
    Colour,
    change,
    frame,
    looked,
    metrics,
    now,
    policy,
    room,
    value,
)


@pytest.fixture
def rules(tmp_path: Path) -> Policy:
    return policy(tmp_path)


@pytest.fixture
def counted() -> Metrics:
    return metrics()


@pytest.fixture
def book(rules: Policy, counted: Metrics) -> RoomBook:
    opened = RoomBook(MONITOR, counted)
    for room_id in ("r1", "r2"):
        assert opened.open(room(room_id), 3, rules, [], now(0)) == []
    return opened


@pytest.fixture
def watched(book: RoomBook) -> RoomBook:
    """Both rooms connecting, since 0 s."""
    for room_id in ("r1", "r2"):
        book.change(change(RoomState.CONNECTING, room_id), now(0))
    return book


def seen(colour: Colour, at_s: float, room_id: str = "r1") -> list[Observation]:
    return looked(frame(colour, at_s, room_id))


def told(events: list[Event]) -> list[tuple[str, str]]:
    assert not any(isinstance(event, AuditEvent) for event in events)
    return [
        (e.label, e.phase.value) if isinstance(e, ViolationEvent) else ("", e.state.value)
        for e in events
        if not isinstance(e, AuditEvent)
    ]


def test_each_change_of_state_is_one_event_with_its_room_s_identity(book: RoomBook) -> None:
    steps = [
        (RoomState.CONNECTING, None), (RoomState.STREAMING, None), (RoomState.STALLED, "stalled"),
        (RoomState.CONNECTING, None), (RoomState.STREAMING, None), (RoomState.ENDED, "end_of_file"),
    ]  # fmt: skip
    events = []
    for at_s, (state, reason) in enumerate(steps):
        (event,) = book.change(change(state, session=at_s, reason=reason), now(at_s))
        assert isinstance(event, StreamEvent)
        events.append(event)
    assert [event.state for event in events] == [state for state, _ in steps]
    assert [event.previous_state for event in events] == [None, *(state for state, _ in steps[:-1])]
    assert [event.reason for event in events] == [reason for _, reason in steps]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.session for event in events] == [0, 1, 2, 3, 4, 5]
    assert {event.owner_epoch for event in events} == {3}
    assert (events[0].tenant, events[0].passthrough, events[0].at) == ("acme", {"order": 7}, AT)


def test_blind_time_is_counted_by_cause_and_told_with_each_event(book: RoomBook, counted: Metrics) -> None:
    book.change(change(RoomState.CONNECTING), now(1))
    book.change(change(RoomState.STREAMING), now(3))
    book.observe(seen(BLACK, 49), now(49))
    book.tick(now(50))
    book.change(change(RoomState.STALLED, reason="stalled"), now(60))
    book.tick(now(61))
    assert value(counted, "streammon_blind_seconds_total", room="r1", cause="stalled") == 1.0
    book.change(change(RoomState.CONNECTING), now(64))
    (event,) = book.change(change(RoomState.STREAMING, session=2), now(65))
    assert isinstance(event, StreamEvent)
    assert {blind.cause: blind.seconds for blind in event.blind} == {"connecting": 4.0, "stalled": 4.0}
    book.tick(now(500))
    assert value(counted, "streammon_blind_seconds_total", room="r1", cause="connecting") == 4.0
    assert value(counted, "streammon_blind_seconds_total", room="r2", cause="connecting") == 500.0


def test_a_room_that_has_ended_accrues_nothing_and_says_nothing_more(watched: RoomBook, counted: Metrics) -> None:
    watched.change(change(RoomState.STREAMING), now(1))
    watched.change(change(RoomState.FAILED, reason="not_media"), now(2))
    watched.tick(now(100))
    assert value(counted, "streammon_blind_seconds_total", room="r1", cause="not_media") == 0.0
    assert watched.change(change(RoomState.STREAMING), now(101)) == []
    assert watched.observe(seen(RED, 102), now(102)) == []
    assert watched.states() == {"r1": RoomState.FAILED, "r2": RoomState.CONNECTING}


def test_a_metric_shows_the_one_state_that_a_room_is_in(book: RoomBook, counted: Metrics) -> None:
    for at_s, state in enumerate([RoomState.CONNECTING, RoomState.STREAMING, RoomState.BACKING_OFF]):
        book.change(change(state), now(at_s))
    states = {s.value: value(counted, "streammon_room_state", room="r1", state=s.value) for s in RoomState}
    assert {state for state, on in states.items() if on == 1.0} == {"backing_off"}
    assert value(counted, "streammon_sessions_total", room="r1") == 1.0


@pytest.mark.parametrize(
    ("state", "reason"),
    [(RoomState.ENDED, EndReason.ROOM_ENDED), (RoomState.FAILED, EndReason.ROOM_ENDED),
     (RoomState.STOPPED, EndReason.STOPPED)],
)  # fmt: skip
def test_the_end_of_a_room_ends_its_incidents_first(watched: RoomBook, state: RoomState, reason: EndReason) -> None:
    watched.change(change(RoomState.STREAMING), now(0))
    assert told(watched.observe(seen(RED, 1), now(1))) == [(ADULT, "start")]
    events = watched.change(change(state), now(2))
    assert told(events) == [(ADULT, "end"), ("", state.value)]
    assert isinstance(events[0], ViolationEvent)
    assert events[0].end_reason is reason


def test_rooms_do_not_mix(watched: RoomBook) -> None:
    watched.observe(seen(RED, 1, "r1"), now(1))
    assert watched.observe(seen(BLACK, 5, "r2"), now(5)) == []
    assert told(watched.change(change(RoomState.ENDED, "r2"), now(6))) == [("", "ended")]
    assert told(watched.observe(seen(BLACK, 7, "r1"), now(7))) == [(ADULT, "end")]


def test_an_observation_of_an_unknown_room_or_a_failed_detector_is_no_event(book: RoomBook) -> None:
    assert book.observe(seen(RED, 1, "elsewhere"), now(1)) == []
    (failed,) = seen((255, 255, 255), 1)
    assert failed.outcome is Outcome.NOT_EXAMINED
    assert book.observe([failed], now(1)) == []


def test_a_room_is_busy_while_something_goes_on_or_would_with_something_else_in_the_picture(
    rules: Policy, counted: Metrics
) -> None:
    part, other = (Part(labels=frozenset({label}), at_least=0.5) for label in (ADULT, "minors.child"))
    both = Combination(label="pornography.child", parts=(part, other))
    opened = RoomBook(MONITOR, counted)
    for room_id, known in (("r1", rules), ("r2", replace(rules, rules={}, combinations=(both,)))):
        opened.open(room(room_id), 3, known, [], now(0))
        assert not opened.busy(room_id)
        opened.observe(seen(RED, 1.0, room_id), now(1))
        assert opened.busy(room_id)
        opened.observe(seen(BLACK, 30.0, room_id), now(30))
        assert not opened.busy(room_id)
    assert not opened.busy("r3"), "it is not known"


def test_time_alone_ends_what_nobody_can_see(book: RoomBook) -> None:
    book.observe(seen(RED, 1), now(1))
    assert book.tick(now(5.5)) == []
    (event,) = book.tick(now(6.5))
    assert isinstance(event, ViolationEvent)
    assert (event.phase, event.end_reason) == (Phase.END, EndReason.BLIND)


def test_stop_ends_every_room_that_is_not_final_once(watched: RoomBook) -> None:
    watched.change(change(RoomState.FAILED, "r2"), now(1))
    watched.observe(seen(RED, 2), now(2))
    assert not watched.all_final()
    assert told(watched.stop(now(3))) == [(ADULT, "end"), ("", "stopped")]
    assert watched.all_final()
    assert set(watched.states().values()) <= FINAL
    assert watched.stop(now(4)) == []


def test_a_stream_that_is_over_is_watched_on_and_judged_when_it_comes_back(watched: RoomBook, counted: Metrics) -> None:
    watched.change(change(RoomState.STREAMING), now(0))
    watched.observe(seen(RED, 1), now(1))
    watched.change(change(RoomState.ENDED, reason="end_of_stream"), now(2))
    assert RoomState.ENDED not in FINAL
    assert not watched.all_final()
    assert watched.tick(now(100)) == []
    assert value(counted, "streammon_blind_seconds_total", room="r1", cause="end_of_stream") == 0.0, (
        "there is no stream"
    )
    (back,) = watched.change(change(RoomState.STREAMING, session=2), now(101))
    assert isinstance(back, StreamEvent)
    assert (back.previous_state, back.session) == (RoomState.ENDED, 2)
    assert told(watched.observe(seen(RED, 102), now(102))) == [(ADULT, "start")]


def test_a_room_whose_stream_is_over_is_told_as_stopped_at_the_end(watched: RoomBook) -> None:
    watched.change(change(RoomState.ENDED, "r2"), now(1))
    assert told(watched.stop(now(3))) == [("", "stopped"), ("", "stopped")]
    assert watched.all_final()


def pictured(picture: PictureState, room_id: str = "r1", *, resized: bool = False) -> RoomPicture:
    return RoomPicture(room_id=room_id, session=1, at=AT, picture=picture, width=64, height=36, resized=resized)


def test_a_move_that_the_table_forbids_is_not_made_and_is_logged(
    watched: RoomBook, counted: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    assert watched.change(change(RoomState.QUARANTINED), now(1)) == []
    assert watched.states()["r1"] is RoomState.CONNECTING
    assert "room cannot go from connecting to quarantined" in caplog.text
    assert value(counted, "streammon_room_moves_total", room="r1", state="quarantined") == 0.0
    assert value(counted, "streammon_room_state", room="r1", state="connecting") == 1.0


def test_the_last_words_of_a_room_that_is_over_are_no_error(
    watched: RoomBook, caplog: pytest.LogCaptureFixture
) -> None:
    watched.change(change(RoomState.STOPPED), now(1))
    for state in RoomState:
        assert watched.change(change(state), now(2)) == []
    assert caplog.text == ""


def test_each_move_is_counted(watched: RoomBook, counted: Metrics) -> None:
    for state in (RoomState.STREAMING, RoomState.STALLED, RoomState.CONNECTING, RoomState.STREAMING):
        watched.change(change(state), now(1))
    moves = {s.value: value(counted, "streammon_room_moves_total", room="r1", state=s.value) for s in RoomState}
    assert {state: count for state, count in moves.items() if count} == {
        "connecting": 2.0, "streaming": 2.0, "stalled": 1.0,
    }  # fmt: skip


def test_what_a_picture_amounts_to_is_an_event_and_a_metric(watched: RoomBook, counted: Metrics) -> None:
    watched.change(change(RoomState.STREAMING), now(1))
    for picture in (PictureState.LIVE, PictureState.FROZEN):
        (event,) = watched.picture(pictured(picture))
        assert isinstance(event, StreamEvent)
        assert (event.change, event.picture, event.state) == (StreamChange.PICTURE, picture, RoomState.STREAMING)
    shown = {p.value: value(counted, "streammon_room_picture", room="r1", picture=p.value) for p in PictureState}
    assert {picture for picture, on in shown.items() if on} == {"frozen"}
    assert value(counted, "streammon_room_picture", room="r2", picture="frozen") == 0.0


def test_a_picture_of_a_room_that_is_over_or_has_not_begun_says_nothing(book: RoomBook) -> None:
    assert book.picture(pictured(PictureState.BLACK)) == []
    book.change(change(RoomState.CONNECTING), now(0))
    book.change(change(RoomState.STOPPED), now(1))
    assert book.picture(pictured(PictureState.BLACK)) == []


def test_frames_that_are_not_examined_make_a_streaming_room_blind(watched: RoomBook, counted: Metrics) -> None:
    watched.change(change(RoomState.STREAMING), now(0))
    (failed,) = seen((255, 255, 255), 19)
    watched.observe([failed], now(19))
    for at_s in range(15, 31):
        watched.tick(now(at_s))
    assert value(counted, "streammon_blind_seconds_total", room="r1", cause="unexamined") == 30.0, (
        "from the beginning on"
    )
    watched.observe(seen(BLACK, 31), now(31))
    watched.tick(now(50))
    assert value(counted, "streammon_blind_seconds_total", room="r1", cause="unexamined") == 31.0
