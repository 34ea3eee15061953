"""The mailbox hands frames out in turns, drops only what is overdue, and gives every slot back exactly once."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest

from streammon.entities import Frame, Moment
from streammon.ingest.rooms.arena import Arena, create_arena_fd
from streammon.ingest.rooms.mailbox import Letter, Mailbox
from streammon.ingest.rooms.wire import FrameReady

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Post:
    """A mailbox on a clock that stands still, with an arena of 32 slots of 4 x 6 pictures."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.now_s = 100.0
        self.released: Counter[int] = Counter()
        self.dropped: list[str] = []
        self.mailbox = Mailbox(self.dropped.append, lambda: self.now_s)

    def letter(self, slot: int, deadline_s: float, room_id: str = "r1") -> Letter:
        self.arena.write(slot, np.full((4, 6, 3), slot, np.uint8))
        ready = FrameReady(
            room_id=room_id, slot=slot, seq=slot, session=2, pts_s=slot / 2, program_at=None, received_at=AT,
            received_s=deadline_s - 4, deadline_s=deadline_s, key_frame=True, width=1920, height=1080,
            image_width=6, image_height=4,
        )  # fmt: skip
        return Letter(ready=ready, arena=self.arena, release=partial(self.released.update, [slot]))

    def put(self, slot: int, deadline_s: float, room_id: str = "r1") -> None:
        self.mailbox.put(self.letter(slot, deadline_s, room_id))

    def taken(self) -> list[int]:
        frames = iter(lambda: self.mailbox.take(0.0), None)
        return [frame.seq for frame in frames if frame is not None]


@pytest.fixture
def post() -> Iterator[Post]:
    fd = create_arena_fd(32 * 72)
    with Arena(fd, slots=32, slot_bytes=72) as arena:
        yield Post(arena)
    os.close(fd)


def test_a_frame_carries_all_that_its_letter_said(post: Post) -> None:
    post.put(3, 104.0)
    frame = post.mailbox.take(0.0)
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.image, np.full((4, 6, 3), 3, np.uint8))
    assert frame.moment == Moment(session=2, pts_s=1.5, program_at=None, received_at=AT)
    assert (frame.room_id, frame.seq, frame.key_frame, frame.width, frame.height) == ("r1", 3, True, 1920, 1080)
    assert (frame.received_s, frame.deadline_s) == (100.0, 104.0)


def test_the_picture_is_a_read_only_copy_and_its_slot_is_free_at_once(post: Post) -> None:
    post.put(3, 104.0)
    frame = post.mailbox.take(0.0)
    assert frame is not None
    assert post.released == {3: 1}
    post.arena.write(3, np.zeros((4, 6, 3), np.uint8))
    assert frame.image.min() == 3
    assert not frame.image.flags.writeable


def test_rooms_take_turns_and_a_room_s_frames_come_in_order(post: Post) -> None:
    for slot, deadline_s, room_id in [
        (1, 108.0, "burst"), (2, 118.0, "burst"), (3, 128.0, "burst"), (4, 103.0, "live"), (5, 109.0, "live"),
        (6, 101.0, "late"),
    ]:  # fmt: skip
        post.put(slot, deadline_s, room_id)
    assert post.mailbox.waiting() == 6
    assert post.taken() == [6, 4, 1, 5, 2, 3]
    assert post.mailbox.waiting() == 0
    assert post.released == dict.fromkeys(range(1, 7), 1)
    assert post.dropped == []


def test_a_room_has_as_many_turns_as_its_interval_asks_for_and_priority_goes_first(post: Post) -> None:
    post.mailbox.set_standing("slow", priority=0, interval_s=4.0)
    post.mailbox.set_standing("fast", priority=0, interval_s=1.0)
    post.mailbox.set_standing("first", priority=1, interval_s=9.0)
    for slot in range(8):
        post.put(slot, 200.0, "fast")
        post.put(slot + 8, 201.0, "slow")
    post.put(30, 300.0, "first")
    post.put(31, 300.0, "first")
    taken = post.taken()
    assert taken[:2] == [30, 31]
    assert [seq < 8 for seq in taken[2:12]].count(True) == 8, "four of the fast one for each of the slow one"
    assert taken[12:] == [10, 11, 12, 13, 14, 15]


def test_a_frame_is_kept_until_its_deadline_and_dropped_after_it(post: Post) -> None:
    post.put(1, 104.0)
    post.put(2, 106.0)
    post.put(3, 104.5, "r2")
    post.now_s = 104.0
    post.put(4, 108.0, "r2")
    assert post.dropped == []
    post.now_s = 104.6
    post.put(5, 108.0)
    assert sorted(post.dropped) == ["r1", "r2"]
    assert post.released == {1: 1, 3: 1}
    assert sorted(post.taken()) == [2, 4, 5]


def test_what_became_overdue_while_nobody_put_is_dropped_when_one_takes(post: Post) -> None:
    for slot in range(4):
        post.put(slot, 101.0 + slot)
    post.now_s = 103.5
    assert post.taken() == [3]
    assert post.dropped == ["r1"] * 3
    assert post.released == dict.fromkeys(range(4), 1)


def test_all_overdue_is_nothing_to_take(post: Post) -> None:
    post.put(1, 101.0)
    post.now_s = 200.0
    assert post.mailbox.take(0.0) is None
    assert (post.dropped, post.released) == (["r1"], {1: 1})


def test_take_waits_no_longer_than_it_is_told(post: Post) -> None:
    began_s = time.monotonic()
    assert post.mailbox.take(0.05) is None
    assert 0.04 < time.monotonic() - began_s < 1.0


def test_a_put_wakes_the_one_who_waits(post: Post) -> None:
    frames: list[Frame | None] = []
    engine = threading.Thread(target=lambda: frames.append(post.mailbox.take(5.0)))
    engine.start()
    engine.join(0.05)
    assert engine.is_alive()
    post.put(7, 110.0)
    engine.join(1.0)
    assert not engine.is_alive()
    assert [frame.seq for frame in frames if frame is not None] == [7]


def test_many_putters_and_one_taker_lose_and_double_nothing(post: Post) -> None:
    def fill(first: int) -> None:
        for slot in range(first, first + 8):
            post.put(slot, 150.0 + slot, f"room-{first}")

    putters = [threading.Thread(target=fill, args=(first,)) for first in (0, 8, 16, 24)]
    for putter in putters:
        putter.start()
    taken = [frame.seq for _ in range(32) if (frame := post.mailbox.take(2.0)) is not None]
    for putter in putters:
        putter.join(2.0)
        assert not putter.is_alive()
    assert sorted(taken) == list(range(32))
    assert post.released == dict.fromkeys(range(32), 1)


def test_it_knows_whether_frames_of_a_room_s_session_wait(post: Post) -> None:
    assert not post.mailbox.waiting_until("r1", 2)
    post.put(3, 104.0)
    assert [post.mailbox.waiting_until("r1", session) for session in (1, 2, 3)] == [False, True, True]
    assert not post.mailbox.waiting_until("r2", 2)
    frame = post.mailbox.take(0.0)
    assert frame is not None
    assert post.mailbox.waiting_until("r1", 2), "it is not judged yet"
    post.mailbox.done(frame)
    assert not post.mailbox.waiting_until("r1", 2)


def test_what_is_dropped_is_waited_for_no_more(post: Post) -> None:
    post.put(3, 104.0)
    post.now_s = 105.0
    assert post.mailbox.take(0.0) is None
    assert not post.mailbox.waiting_until("r1", 2)


def test_who_listens_hears_of_every_frame(post: Post) -> None:
    heard: list[int] = []
    post.mailbox.on_put(lambda: heard.append(post.mailbox.waiting()))
    post.put(1, 104.0)
    post.put(2, 104.0)
    assert heard == [1, 2]
