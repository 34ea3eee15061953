"""The data that flows between the parts: rooms, moments, frames, detections, observations. No behaviour, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture: H x W x 3, uint8, RGB, C-contiguous."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One live room to watch.

    `passthrough` is opaque to us, echoed in every event, and at most 1 KiB as JSON. `url` may carry secrets: it is
    never logged or published; `room_id` is what names a room to people. `url_command` prints the URL anew before each
    connection, for addresses that expire; `url` then only says how it is carried. `policy` is the id of the policy that
    judges it; empty: its tenant's, or the default. Of two rooms the one with the higher `priority` is examined first.
    `every_s` names, by detector, the least seconds between its looks at the room, in place of the configured ones.
    """

    room_id: str
    url: str
    tenant: str = "default"
    policy: str = ""
    url_command: tuple[str, ...] = ()
    interval_s: float = 2.0
    priority: int = 0
    every_s: Mapping[str, float] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    passthrough: Mapping[str, Any] = field(default_factory=dict)


class RoomState(StrEnum):
    """What a room's connection is doing. `stopped` and `failed` are final; all others may change again.

    `stalled`: connected, but nothing came any more, and it is opened anew. `quarantined`: its stream killed the process
    that pulled it again and again. The allowed moves are in `streammon.ingest.moves`.
    """

    CONNECTING = "connecting"
    STREAMING = "streaming"
    STALLED = "stalled"
    BACKING_OFF = "backing_off"
    ENDED = "ended"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    STOPPED = "stopped"


class PictureState(StrEnum):
    """What a room's picture amounts to, whatever is in it.

    `black`, `solid` (one colour), `no_signal` (test card, noise), `frozen` (nothing moves): for the configured time.
    """

    LIVE = "live"
    BLACK = "black"
    SOLID = "solid"
    NO_SIGNAL = "no_signal"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One instant of one room's stream.

    `session` counts the room's connections within an owner epoch, from 1. `pts_s` is seconds since the session's first
    packet. `program_at` is the publisher's wall clock (EXT-X-PROGRAM-DATE-TIME), None where the stream gives none.
    `received_at` is when the bytes came, UTC and aware.
    """

    session: int
    pts_s: float
    program_at: datetime | None = None
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One sampled picture. `image` is read-only; `seq` rises by one per sample of a room within an ingest process.

    `width` and `height` are the stream's, in pixels; `image` may be smaller. `received_s` is `time.monotonic()` at
    which the frame's packet came, `deadline_s` the same clock's time after which nobody wants the frame any more.
    """

    room_id: str
    moment: Moment
    seq: int
    key_frame: bool
    width: int
    height: int
    image: Image
    received_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An upright rectangle in fractions (0..1) of the frame: left, top, width, height."""

    x: float
    y: float
    w: float
    h: float


class MatchStep(StrEnum):
    """What had to be looked through to find a listed word in a text.

    exact: nothing but width and case. simplified: traditional characters. separators: what stands between its
    characters. homoglyphs: letters of another script or shape. digits: digits and signs for letters. repeats:
    characters written several times. pinyin: characters of the same sound, or the sound in letters. ocr: one character
    that looks alike, is lost, or is too many. pattern: an operator's expression.
    """

    EXACT = "exact"
    SIMPLIFIED = "simplified"
    SEPARATORS = "separators"
    HOMOGLYPHS = "homoglyphs"
    DIGITS = "digits"
    REPEATS = "repeats"
    PINYIN = "pinyin"
    OCR = "ocr"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordHit:
    """A listed word found in a text, or a contact, whose `list` is `contacts` and `word` what it amounts to.

    `span` is [start, end) in characters of the text as it was read. `by` is the most daring step that finding it took,
    in the order of MatchStep.
    """

    word: str
    list: str
    span: tuple[int, int]
    by: MatchStep = MatchStep.EXACT


class CodeKind(StrEnum):
    """What a code asks of who scans it.

    url: to open an address. contact: to call, write to or befriend somebody. payment: to pay. wifi: to join a network.
    text: to read, or anything else.
    """

    URL = "url"
    CONTACT = "contact"
    PAYMENT = "payment"
    WIFI = "wifi"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class QrReading:
    """A code's decoded payload, whether the policy allows it, and what it is for; None before it was judged."""

    payload: str
    allowed: bool = False
    kind: CodeKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonMatch:
    """A face that matches a library entry; `similarity` is 0..1."""

    library: str
    entry: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryMatch:
    """A picture, or a part of one, that matches a library entry; `similarity` is 0..1."""

    library: str
    entry: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLine:
    """A line that a viewer sent. `author` is the platform's opaque id; `sent_at` is by the platform's clock, UTC."""

    author: str | None = None
    sent_at: datetime | None = None


class TextKind(StrEnum):
    """How a line of text stands in the picture, as far as is known by now.

    `barrage` flies through it. `overlay` has stood in one place for a minute. `scene` is everything else.
    """

    BARRAGE = "barrage"
    OVERLAY = "overlay"
    SCENE = "scene"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """A line of text that was followed from picture to picture. `first_pts_s` and `last_pts_s`: seconds of its session.

    `reads` is in how many pictures it was read; between them it was seen again, unchanged. The text is what these
    readings say together.
    """

    kind: TextKind
    first_pts_s: float
    last_pts_s: float
    reads: int


class Source(StrEnum):
    """Which kind of reading raised a label."""

    VISUAL = "visual"
    TEXT = "text"
    QR = "qr"
    FACE = "face"
    LIBRARY = "library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """One thing a detector saw in one frame.

    `label` is a taxonomy name (`pornography.adult`), or None for a line of text, which means nothing until a policy's
    keyword lists have been held against it. `score` is the model's confidence, 0..1. `box` is None where the whole
    frame is meant. `subject` tells apart two incidents of one label: the person, the known picture, the code's payload,
    the keyword list.
    `severity`, 0 to 5, is what the list says of the gravest word; None where it says nothing.
    """

    detector: str
    model: str
    source: Source
    score: float
    label: str | None = None
    box: Box | None = None
    subject: str | None = None
    text: str | None = None
    keywords: tuple[KeywordHit, ...] = ()
    severity: int | None = None
    qr: QrReading | None = None
    person: PersonMatch | None = None
    chat: ChatLine | None = None
    line: TextLine | None = None
    library: LibraryMatch | None = None


class Outcome(StrEnum):
    """What came of showing a frame to a detector. Only `examined` is a fresh inference."""

    EXAMINED = "examined"
    NOT_EXAMINED = "not_examined"


class Unexamined(StrEnum):
    """Why a detector did not look at a frame.

    `cadence`: it looks at this room less often. `gate`: what it depends on was not examined. `unchanged`: the picture
    is the one it saw last. `nothing_new`: where it is not, there is nothing for the detector. `failed`: it failed on
    the frame, twice. `disabled`: it failed too often, and rests. `overdue`: the frame waited for too long.
    """

    CADENCE = "cadence"
    GATE = "gate"
    UNCHANGED = "unchanged"
    NOTHING_NEW = "nothing_new"
    FAILED = "failed"
    DISABLED = "disabled"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One detector's look at one frame of one room.

    With `outcome` examined, each of `labels` (what the detector can see at all; a text detector's are decided by the
    policy, so empty) is a hit where `detections` names it and a miss where not. `at_s` is `time.monotonic()` at which
    the frame was received. `unexamined` says why nobody looked; None where somebody did, or where nobody knows.

    `of_frame` is False for what came beside the picture, such as chat: it can be a hit, but its silence is no miss.
    """

    room_id: str
    detector: str
    labels: frozenset[str]
    outcome: Outcome
    moment: Moment
    at_s: float
    detections: tuple[Detection, ...] = ()
    unexamined: Unexamined | None = None
    of_frame: bool = True
