"""The control channel between the engine's process and an ingest process: its messages and how they are framed.

Messages are msgpack by `msgspec`, never pickle: an ingest process reads hostile bytes, and nothing that it sends may
run in the engine's process. A frame's pixels go through the arena (see `arena`); the messages carry who owns a slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Lock
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from streammon.entities import PictureState, RoomState
from streammon.events import Count, Utc

_MAX_MESSAGE_BYTES = 1 << 20


class Configure(msgspec.Struct, tag=True, frozen=True):
    """First message to a new ingest process. `config` is an `IngestConfig` as JSON."""

    config: bytes
    log_level: str
    arena_slots: int


class AddRoom(msgspec.Struct, tag=True, frozen=True):
    """Watch a room. Its samples go into `slots`; its next connection is session `session_base` + 1."""

    room_id: str
    url: str
    headers: dict[str, str]
    interval_s: float
    session_base: int
    slots: list[int]
    url_command: list[str] = []


class RemoveRoom(msgspec.Struct, tag=True, frozen=True):
    """Stop watching a room; answered by a RoomChanged to `stopped`."""

    room_id: str


class SetInterval(msgspec.Struct, tag=True, frozen=True):
    """Sample a room every `interval_s` seconds from now on."""

    room_id: str
    interval_s: float


class FreeSlot(msgspec.Struct, tag=True, frozen=True):
    """The engine has done with a slot: it belongs to the ingest process again."""

    room_id: str
    slot: int


class Stop(msgspec.Struct, tag=True, frozen=True):
    """Close every room and exit."""


class RoomChanged(msgspec.Struct, tag=True, frozen=True):
    """A room's connection moved to another state. `reason` is a short code, `detail` a line for people."""

    room_id: str
    session: int
    state: RoomState
    at: Utc
    reason: str | None = None
    detail: str | None = None


class RoomPicture(msgspec.Struct, tag=True, frozen=True):
    """What a room's picture amounts to changed, or its size. `width` and `height` are the stream's, in pixels."""

    room_id: str
    session: int
    at: Utc
    picture: PictureState
    width: Count
    height: Count
    resized: bool


class RoomThread(msgspec.Struct, tag=True, frozen=True):
    """The thread that pulls a room. `tid` is the kernel's; `mark` is what its stack shows should it crash."""

    room_id: str
    tid: int
    mark: str


class FrameReady(msgspec.Struct, tag=True, frozen=True):
    """A sample lies in `slot`, `image_height` x `image_width` x 3 bytes; the slot now belongs to the engine."""

    room_id: str
    slot: int
    seq: int
    session: int
    pts_s: float
    program_at: Utc | None
    received_at: Utc
    received_s: float
    deadline_s: float
    key_frame: bool
    width: int
    height: int
    image_width: int
    image_height: int


class RoomStats(msgspec.Struct, tag=True, frozen=True):
    """What a room has done since the last report, and what it cost.

    `lag_s`: how far behind the live edge its last packet came. `pulled_bytes`: all that came over our own sockets; of
    RTMP, which FFmpeg opens, the video's packets alone.
    """

    room_id: str
    packets: Count
    packet_bytes: Count
    decoded: Count
    sampled: Count
    dropped: Count
    decode_errors: Count
    lag_s: float | None = None
    cpu_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    pulled_bytes: Count = 0


class IngestStats(msgspec.Struct, tag=True, frozen=True):
    """The process as a whole. `hung`: threads that were given up and have not come back when they should have."""

    hung: Count
    given_up: Count


ToIngest = Configure | AddRoom | RemoveRoom | SetInterval | FreeSlot | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplesLost:
    """So many samples of a room were thrown away unseen, since there was no slot for them or they were overdue."""

    room_id: str
    samples: int


RoomNews = RoomChanged | RoomPicture | SamplesLost
"""What is told of a room beyond its ingest process."""
FromRoom = RoomChanged | RoomPicture | RoomThread | FrameReady | RoomStats
FromIngest = FromRoom | IngestStats

Incoming = TypeVar("Incoming")


class Channel(Generic[Incoming]):
    """One end of the control channel. `send` may be called from any thread, `receive` from one."""

    def __init__(self, connection: Connection, incoming: Any) -> None:
        self._connection = connection
        self._sending = Lock()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Incoming] = msgspec.msgpack.Decoder(incoming)

    def send(self, message: ToIngest | FromIngest) -> bool:
        """Whether the message went out; False where the other end is gone."""
        data = self._encoder.encode(message)
        with self._sending:
            try:
                self._connection.send_bytes(data)
            except OSError:
                return False
        return True

    def receive(self, timeout_s: float) -> Incoming | None:
        """The next message, or None after `timeout_s`. Raises EOFError where the other end is gone.

        A message that is too large or not of this protocol is the other end's fault, and ends it the same way.
        """
        try:
            if not self._connection.poll(timeout_s):
                return None
            return self._decoder.decode(self._connection.recv_bytes(_MAX_MESSAGE_BYTES))
        except (OSError, msgspec.DecodeError) as error:
            raise EOFError(f"control channel: {error}") from error

    def close(self) -> None:
        """Closes this end; the other end sees EOF. May be called twice.

        Waits for a `send` under way: the descriptor's number may belong to another file the moment it is closed.
        """
        with self._sending:
            self._connection.close()
