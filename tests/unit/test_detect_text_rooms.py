"""The lines of many rooms: bounded, of one session each, and never of two frames at once."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from streammon.detect.text import rooms
from streammon.detect.text.placed import placed
from streammon.detect.text.room_lines import RoomLines
from streammon.detect.text.rooms import TextRooms
from streammon.detect.text.voting import Reading
from streammon.entities import Frame, Moment


def frame(
    at_s: float, *, room_id: str = "r", session: int = 1, width: int = 640, received_s: float | None = None
) -> Frame:
    image = np.zeros((360, width, 3), np.uint8)
    return Frame(
        room_id=room_id, moment=Moment(session=session, pts_s=at_s, received_at=datetime(2026, 1, 1, tzinfo=UTC)),
        seq=1, key_frame=True, width=width, height=360, image=image,
        received_s=at_s if received_s is None else received_s, deadline_s=9.0,
    )  # fmt: skip


def read(lines: RoomLines, at_s: float) -> int:
    """How many places had to be read where one line stands, which then is."""
    image = np.zeros((360, 640, 3), np.uint8)
    spots = lines.look(image, [placed(10, 10, 200, 40, width_px=640)], at_s)
    wanted = [spot for spot in spots if spot.to_read]
    lines.settle(spots, [Reading(text="加微信", score=0.9)] * len(wanted), at_s, 0.5)
    return len(wanted)


def reads(text: TextRooms, shown: Frame) -> int:
    with text.lines_of(shown) as lines:
        return read(lines, shown.moment.pts_s)


def test_a_rooms_lines_are_kept_from_frame_to_frame_and_are_no_other_rooms() -> None:
    text = TextRooms()
    assert [reads(text, frame(at)) for at in (1.0, 2.0, 3.0)] == [1, 0, 0]
    assert reads(text, frame(4.0, room_id="other")) == 1


def test_a_new_session_or_another_size_starts_anew() -> None:
    text = TextRooms()
    assert [reads(text, frame(at)) for at in (1.0, 2.0)] == [1, 0]
    assert reads(text, frame(0.5, session=2)) == 1
    assert reads(text, frame(1.5, session=2)) == 0
    assert reads(text, frame(2.5, session=2, width=320)) == 1


def test_a_frame_that_is_late_is_read_by_itself_and_changes_nothing() -> None:
    text = TextRooms()
    assert [reads(text, frame(at)) for at in (1.0, 4.0)] == [1, 0]
    assert reads(text, frame(2.0)) == 1
    assert reads(text, frame(4.0)) == 1
    assert reads(text, frame(9.0, session=0)) == 1
    assert reads(text, frame(5.0)) == 0


def test_a_frame_that_comes_while_another_one_of_its_room_is_read_is_read_by_itself() -> None:
    text = TextRooms()
    reads(text, frame(1.0))
    with text.lines_of(frame(2.0)) as first, text.lines_of(frame(3.0)) as second:
        assert first is not second
        assert len(second) == 0
        assert read(second, 3.0) == 1
        assert read(first, 2.0) == 0
    assert reads(text, frame(4.0)) == 0


def test_a_reading_that_fails_leaves_the_room_usable() -> None:
    text = TextRooms()
    with pytest.raises(ZeroDivisionError), text.lines_of(frame(1.0)):
        _ = 1 / 0
    assert [reads(text, frame(at)) for at in (2.0, 3.0)] == [1, 0]


def test_rooms_of_which_nothing_comes_are_forgotten_and_there_are_never_too_many() -> None:
    text = TextRooms()
    reads(text, frame(1.0, room_id="old"))
    reads(text, frame(2.0 + rooms._FORGET_S, room_id="new"))
    assert len(text) == 1
    for number in range(rooms._MOST_ROOMS + 10):
        reads(text, frame(200.0, room_id=str(number)))
    assert len(text) == rooms._MOST_ROOMS
