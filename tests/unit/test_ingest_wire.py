"""The control channel: what goes in comes out, and whatever else comes in ends the channel and nothing more."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import msgspec
import pytest

from streammon.entities import PictureState, RoomState
from streammon.ingest.rooms.wire import (
    AddRoom,
    Channel,
    Configure,
    FrameReady,
    FreeSlot,
    FromIngest,
    IngestStats,
    RemoveRoom,
    RoomChanged,
    RoomPicture,
    RoomStats,
    RoomThread,
    SetInterval,
    Stop,
    ToIngest,
)

AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
READY = FrameReady(
    room_id="房间", slot=3, seq=9, session=2, pts_s=12.5, program_at=None, received_at=AT, received_s=5.0,
    deadline_s=9.0, key_frame=False, width=1920, height=1080, image_width=1280, image_height=720,
)  # fmt: skip
STATS = RoomStats(room_id="r", packets=1, packet_bytes=2, decoded=3, sampled=4, dropped=5, decode_errors=6)
TO_INGEST = [
    Configure(config=b'{"stall_after":5}', log_level="INFO", arena_slots=600),
    AddRoom(room_id="r", url="rtmp://h/a", headers={"Referer": "x"}, interval_s=2.0, session_base=7, slots=[1, 2]),
    RemoveRoom("r"),
    SetInterval("r", 0.5),
    FreeSlot("r", 2),
    Stop(),
]
FROM_INGEST = [
    RoomChanged(room_id="r", session=1, state=RoomState.STALLED, at=AT, reason="stalled", detail="it is tried again"),
    RoomPicture(room_id="r", session=1, at=AT, picture=PictureState.BLACK, width=1920, height=1080, resized=True),
    RoomThread(room_id="r", tid=4711, mark="puller_1"),
    READY,
    STATS,
    msgspec.structs.replace(STATS, lag_s=2.5),
    IngestStats(hung=2, given_up=3),
]


class Pair:
    """The engine's end as a channel, the other end as a bare descriptor, as a hostile process has it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.ours: Channel[FromIngest] = Channel(Connection(ours.detach()), FromIngest)
        self.theirs = Connection(theirs.detach())

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    opened = Pair()
    yield opened
    opened.close()


def encoded(message: object) -> bytes:
    return msgspec.msgpack.encode(message)


def altered(**fields: object) -> bytes:
    """A `FrameReady` with something wrong in it."""
    return encoded({**msgspec.to_builtins(READY), **fields})


@pytest.mark.parametrize("message", TO_INGEST, ids=lambda m: type(m).__name__)
def test_what_the_engine_says_arrives_whole(pair: Pair, message: ToIngest) -> None:
    ingest: Channel[ToIngest] = Channel(pair.theirs, ToIngest)
    assert pair.ours.send(message)
    assert ingest.receive(1.0) == message


@pytest.mark.parametrize("message", FROM_INGEST, ids=lambda m: type(m).__name__)
def test_what_the_ingest_process_says_arrives_whole(pair: Pair, message: FromIngest) -> None:
    ingest: Channel[ToIngest] = Channel(pair.theirs, ToIngest)
    assert ingest.send(message)
    assert pair.ours.receive(1.0) == message


def test_messages_keep_their_order_and_none_is_none(pair: Pair) -> None:
    for message in FROM_INGEST:
        pair.theirs.send_bytes(encoded(message))
    assert [pair.ours.receive(1.0) for _ in FROM_INGEST] == FROM_INGEST
    assert pair.ours.receive(0.0) is None


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"\x00", b"\xc1", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100,
        encoded({"type": "NoSuchMessage"}), encoded(FreeSlot("r", 1)), encoded(Stop()), encoded([1, 2, 3]),
        encoded(READY)[:-3], encoded(READY) + b"x",
        altered(slot="3"), altered(slot=1.5), altered(room_id=None), altered(received_at="yesterday"),
        altered(received_at="2026-01-01T12:30:00"), encoded({**msgspec.to_builtins(STATS), "packets": -1}),
        encoded({"type": "IngestStats", "hung": -1, "given_up": 0}),
        encoded({"type": "RoomPicture", "room_id": "r", "session": 1, "at": "2026-01-01T12:30:00Z",
                 "picture": "blank", "width": 1, "height": 1, "resized": False}),
        encoded({"type": "RoomChanged", "room_id": "r", "session": 1, "at": "2026-01-01T12:30:00Z", "state": "lost"}),
    ],
    ids=lambda data: repr(data[:24]),
)  # fmt: skip
def test_what_is_not_of_the_protocol_ends_the_channel(pair: Pair, garbage: bytes) -> None:
    pair.theirs.send_bytes(garbage)
    with pytest.raises(EOFError, match="control channel"):
        pair.ours.receive(1.0)


def test_a_message_too_large_is_refused_before_it_is_read(pair: Pair) -> None:
    change = RoomChanged(room_id="r", session=1, state=RoomState.FAILED, at=AT, detail="x" * (1 << 20))
    ingest: Channel[ToIngest] = Channel(pair.theirs, ToIngest)
    sender = threading.Thread(target=ingest.send, args=(change,))
    sender.start()
    with pytest.raises(EOFError, match="bad message length"):
        pair.ours.receive(1.0)
    pair.ours.close()
    sender.join(1.0)
    assert not sender.is_alive()


def test_a_length_that_is_negative_is_refused(pair: Pair) -> None:
    os.write(pair.theirs.fileno(), struct.pack("!i", -2))
    with pytest.raises(EOFError):
        pair.ours.receive(1.0)


def test_a_message_of_the_largest_size_arrives(pair: Pair) -> None:
    change = RoomChanged(room_id="r", session=1, state=RoomState.FAILED, at=AT, detail="x" * ((1 << 20) - 200))
    sender = threading.Thread(target=pair.theirs.send_bytes, args=(encoded(change),))
    sender.start()
    assert pair.ours.receive(1.0) == change
    sender.join(1.0)
    assert not sender.is_alive()


def test_a_dead_peer_is_eof_to_receive_and_false_to_send(pair: Pair) -> None:
    pair.theirs.close()
    assert pair.ours.send(Stop()) is False
    with pytest.raises(EOFError):
        pair.ours.receive(1.0)


def test_a_closed_channel_is_the_same(pair: Pair) -> None:
    pair.ours.close()
    pair.ours.close()
    assert pair.ours.send(Stop()) is False
    with pytest.raises(EOFError):
        pair.ours.receive(0.0)


def test_a_close_waits_for_a_message_that_is_being_sent(pair: Pair) -> None:
    big = AddRoom(room_id="r", url="u" * (1 << 20), headers={}, interval_s=1.0, session_base=0, slots=[])
    sent: list[bool] = []
    sender = threading.Thread(target=lambda: sent.append(pair.ours.send(big)))
    sender.start()
    pair.theirs.poll(1.0)
    closer = threading.Thread(target=pair.ours.close)
    closer.start()
    closer.join(0.05)
    assert closer.is_alive()
    assert len(pair.theirs.recv_bytes()) > 1 << 20
    for thread in (sender, closer):
        thread.join(1.0)
        assert not thread.is_alive()
    assert sent == [True]


def test_messages_from_many_threads_do_not_mix(pair: Pair) -> None:
    def send(room: int) -> None:
        for slot in range(50):
            assert pair.ours.send(FreeSlot(f"room-{room}", slot))

    ingest: Channel[ToIngest] = Channel(pair.theirs, ToIngest)
    senders = [threading.Thread(target=send, args=(room,)) for room in range(4)]
    for sender in senders:
        sender.start()
    heard = [ingest.receive(1.0) for _ in range(200)]
    for sender in senders:
        sender.join(1.0)
        assert not sender.is_alive()
    for room in range(4):
        slots = [m.slot for m in heard if isinstance(m, FreeSlot) and m.room_id == f"room-{room}"]
        assert slots == list(range(50))
