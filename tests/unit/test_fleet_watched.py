"""One room as the engine knows it: what happens to it is one event each, and unseen time is told as blind."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.entities import PictureState, RoomState
from streammon.events import StreamChange, StreamEvent
from streammon.fleet.blind import BlindClock
from streammon.fleet.coverage import Coverage
from streammon.fleet.watched import WatchedRoom
from streammon.ingest.rooms.wire import RoomPicture
from streammon.judge.policy import Policy
from streammon.judge.room import Now, RoomJudge
from tests.unit.colours import AT, MONITOR, change, policy, room


class Seat:
    """A watched room from 0 s on, and the blind time that it has told."""

    def __init__(self, rules: Policy, interval_s: float = 2.0) -> None:
        self.blind: dict[str, float] = defaultdict(float)
        mine = replace(room(), interval_s=interval_s)
        self.watched = WatchedRoom(
            room=mine,
            epoch=3,
            judge=RoomJudge(mine, 3, rules, MONITOR),
            blind=BlindClock(0.0, self._count),
            coverage=Coverage(0.0),
            monitor=MONITOR,
        )

    def _count(self, cause: str, seconds: float) -> None:
        self.blind[cause] += seconds

    def tick_until(self, from_s: float, to_s: float) -> None:
        """Twice a second, as the engine's thread does."""
        for step in range(round((to_s - from_s) * 2) + 1):
            self.watched.tick(Now(monotonic_s=from_s + step / 2, utc=AT))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture
def seat(rules: Policy) -> Seat:
    return Seat(rules)


def pictured(
    picture: PictureState, size: tuple[int, int] = (160, 90), *, session: int = 1, resized: bool = False
) -> RoomPicture:
    return RoomPicture(
        room_id="r1", session=session, at=AT, picture=picture, width=size[0], height=size[1], resized=resized
    )


def test_a_move_is_one_event_that_tells_what_it_was_before(seat: Seat) -> None:
    first = seat.watched.moved(change(RoomState.CONNECTING, session=0), 0.0)
    event = seat.watched.moved(change(RoomState.BACKING_OFF, session=0, reason="hung"), 1.0)
    assert (first.previous_state, first.seq, first.picture, first.width) == (None, 1, None, None)
    assert (event.change, event.state, event.previous_state) == (
        StreamChange.STATE, RoomState.BACKING_OFF, RoomState.CONNECTING,
    )  # fmt: skip
    assert (event.reason, event.seq, event.owner_epoch, event.at) == ("hung", 2, 3, AT)


def test_another_picture_is_an_event_and_repeats_the_state(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.CONNECTING, session=0), 0.0)
    seat.watched.moved(change(RoomState.STREAMING), 1.0)
    (live,) = seat.watched.pictured(pictured(PictureState.LIVE))
    (black,) = seat.watched.pictured(pictured(PictureState.BLACK))
    assert (live.picture, live.previous_picture, live.width, live.height) == (PictureState.LIVE, None, 160, 90)
    assert (black.change, black.picture, black.previous_picture) == (
        StreamChange.PICTURE, PictureState.BLACK, PictureState.LIVE,
    )  # fmt: skip
    assert (black.state, black.previous_state, black.reason) == (RoomState.STREAMING, RoomState.STREAMING, None)
    assert (black.seq, black.session, black.tenant) == (4, 1, "acme")


def test_another_size_is_an_event_of_its_own(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.CONNECTING), 0.0)
    seat.watched.pictured(pictured(PictureState.LIVE))
    (resized,) = seat.watched.pictured(pictured(PictureState.LIVE, (1280, 720), resized=True))
    assert (resized.change, resized.width, resized.height) == (StreamChange.RESOLUTION, 1280, 720)
    assert (resized.picture, resized.previous_picture) == (PictureState.LIVE, PictureState.LIVE)
    both = seat.watched.pictured(pictured(PictureState.FROZEN, (640, 360), resized=True))
    assert [event.change for event in both] == [StreamChange.PICTURE, StreamChange.RESOLUTION]
    assert [(event.previous_picture, event.width) for event in both] == [
        (PictureState.LIVE, 640), (PictureState.FROZEN, 640),
    ]  # fmt: skip


def test_what_is_as_it_was_is_no_event(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.CONNECTING), 0.0)
    assert len(seat.watched.pictured(pictured(PictureState.SOLID))) == 1
    assert seat.watched.pictured(pictured(PictureState.SOLID)) == []


def test_a_move_repeats_the_picture_and_its_size(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.CONNECTING), 0.0)
    seat.watched.pictured(pictured(PictureState.BLACK))
    event = seat.watched.moved(change(RoomState.STALLED, reason="stalled"), 5.0)
    assert (event.picture, event.previous_picture) == (PictureState.BLACK, PictureState.BLACK)
    assert (event.width, event.height) == (160, 90)


def test_nothing_happens_to_a_room_before_it_has_a_state(seat: Seat) -> None:
    with pytest.raises(ValueError, match="has a state before"):
        seat.watched.pictured(pictured(PictureState.LIVE))


@pytest.mark.parametrize(("interval_s", "unseen_s"), [(2.0, 20.0), (4.0, 20.0), (10.0, 50.0)])
def test_a_room_that_streams_but_is_not_examined_is_blind(rules: Policy, interval_s: float, unseen_s: float) -> None:
    seat = Seat(rules, interval_s)
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    seat.tick_until(0.0, unseen_s)
    assert seat.blind == {"connecting": 0.0}
    seat.tick_until(unseen_s + 0.5, unseen_s + 10.5)
    assert seat.blind["unexamined"] >= 10.0
    seat.watched.examined(unseen_s + 11.0)
    blind_s = seat.blind["unexamined"]
    seat.tick_until(unseen_s + 11.0, unseen_s + 11.0 + unseen_s)
    assert seat.blind["unexamined"] == blind_s


def test_a_room_that_is_examined_now_and_then_is_not_blind(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    for at_s in range(0, 100, 20):
        seat.watched.examined(at_s)
        seat.tick_until(at_s, at_s + 19.5)
    assert seat.blind == {"connecting": 0.0}


def test_a_connection_that_has_just_begun_has_its_time(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    seat.watched.examined(1.0)
    seat.watched.moved(change(RoomState.BACKING_OFF, reason="ended"), 2.0)
    seat.watched.moved(change(RoomState.CONNECTING), 100.0)
    seat.watched.moved(change(RoomState.STREAMING, session=2), 101.0)
    seat.tick_until(101.0, 121.0)
    assert seat.blind == {"connecting": 1.0, "ended": 98.0}


def test_a_room_whose_stream_is_over_is_not_blind(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    seat.watched.moved(change(RoomState.ENDED, reason="end_of_stream"), 5.0)
    seat.tick_until(5.0, 200.0)
    assert seat.blind == {"connecting": 0.0}


@pytest.mark.parametrize(
    ("state", "reason", "cause"),
    [
        (RoomState.CONNECTING, None, "connecting"),
        (RoomState.STALLED, "stalled", "stalled"),
        (RoomState.BACKING_OFF, "denied", "denied"),
        (RoomState.QUARANTINED, "crashed_again", "crashed_again"),
    ],
)
def test_blind_time_has_its_cause_and_is_in_the_next_event(
    seat: Seat, state: RoomState, reason: str | None, cause: str
) -> None:
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    seat.watched.moved(change(state, reason=reason), 1.0)
    seat.tick_until(1.0, 4.0)
    event = seat.watched.moved(change(RoomState.STOPPED), 5.0)
    assert {blind.cause: blind.seconds for blind in event.blind if blind.seconds} == {cause: 4.0}


def test_a_frame_examined_after_the_connection_was_lost_makes_nobody_see(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    seat.watched.moved(change(RoomState.BACKING_OFF, reason="ended"), 1.0)
    seat.watched.examined(1.5)
    seat.tick_until(2.0, 4.0)
    assert seat.blind["ended"] == 3.0


def test_a_detector_that_is_off_is_told_once_and_that_it_is_on_again(seat: Seat) -> None:
    def off(detectors: tuple[str, ...], at_s: float) -> StreamEvent | None:
        return seat.watched.set_disabled(detectors, Now(monotonic_s=at_s, utc=AT))

    assert off((), 0.0) is None
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    told = off(("ocr",), 1.0)
    assert told is not None
    assert (told.change, told.disabled_detectors, told.state) == (StreamChange.DETECTOR, ("ocr",), RoomState.STREAMING)
    assert off(("ocr",), 2.0) is None
    seat.tick_until(2.0, 4.0)
    moved = seat.watched.moved(change(RoomState.BACKING_OFF), 4.0)
    assert moved.disabled_detectors == ("ocr",), "what did not change is repeated"
    assert seat.blind == {"detector:ocr": 3.0, "connecting": 0.0}
    back = off((), 5.0)
    assert back is not None
    assert back.disabled_detectors == ()


def test_a_room_that_is_examined_too_sparsely_is_told_with_its_share(seat: Seat) -> None:
    seat.watched.moved(change(RoomState.STREAMING), 0.0)
    seat.watched.coverage.lost(9)
    seat.watched.coverage.examined()
    assert seat.watched.tick(Now(monotonic_s=29.9, utc=AT)) is None
    told = seat.watched.tick(Now(monotonic_s=30.0, utc=AT))
    assert told is not None
    assert (told.change, told.coverage) == (StreamChange.COVERAGE, 0.1)
    assert seat.watched.moved(change(RoomState.ENDED), 31.0).coverage is None


happenings = st.one_of(
    st.sampled_from([RoomState.CONNECTING, RoomState.STREAMING, RoomState.STALLED, RoomState.ENDED]),
    st.tuples(st.sampled_from(PictureState), st.booleans()),
)


@given(st.lists(happenings, max_size=30))
def test_seq_rises_by_one_over_all_kinds_of_events(
    rules: Policy, happenings: list[RoomState | tuple[PictureState, bool]]
) -> None:
    seat = Seat(rules)
    events: list[StreamEvent] = [seat.watched.moved(change(RoomState.CONNECTING), 0.0)]
    for happening in happenings:
        if isinstance(happening, RoomState):
            events.append(seat.watched.moved(change(happening), 1.0))
        else:
            events += seat.watched.pictured(pictured(happening[0], resized=happening[1]))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len({event.event_id for event in events}) == len(events)
    for before, after in pairwise(events):
        assert after.previous_state is before.state
        if after.change is not StreamChange.STATE:
            assert after.state is before.state
