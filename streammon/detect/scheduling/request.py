"""What the engine is asked and what it answers, and what it asks of those around it. Pure data and protocols."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol

from streammon.detect.detector import Detector
from streammon.entities import Box, Detection, Frame, Observation, Outcome, Unexamined
from streammon.errors import StreammonError


class RequestClass(StrEnum):
    """Classes of requests, each with a share of the machine that it can count on."""

    LIVE = "live"
    REVIEW = "review"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A frame to examine.

    `owner` is opaque to the engine: whom the cost is charged to. `interval_s` is the time between the room's frames, 0
    where there is none: a cadence is met by the frame that comes nearest. `every_s` overrides the configured cadence of
    the detectors that it names, for this room.
    """

    frame: Frame
    request_class: RequestClass = RequestClass.LIVE
    owner: str = ""
    interval_s: float = 0.0
    every_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def line(self) -> tuple[RequestClass, str]:
        """The frames that are answered in the order in which they came: those of one room and class."""
        return self.request_class, self.frame.room_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a detector spent on a frame, its failed runs included; a batch's cost is split alike over its frames.

    `cpu_s` is CPU time of the engine's own thread, `provider_s` wall time for which the frame's share of a run held the
    execution provider, whose own threads the former does not see.
    """

    cpu_s: float = 0.0
    provider_s: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(cpu_s=self.cpu_s + other.cpu_s, provider_s=self.provider_s + other.provider_s)

    def split(self, parts: int) -> Cost:
        """One of `parts` equal shares."""
        return Cost(cpu_s=self.cpu_s / parts, provider_s=self.provider_s / parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of a request: one observation per detector, in their order, and what each that ran has cost."""

    request: Request
    observations: tuple[Observation, ...]
    cost: Mapping[str, Cost]


class FrameSource(Protocol):
    """Where frames of one class wait until the engine has room for them. Asked by the engine's dispatcher; by
    `Engine.drain` as well, whether anything waits.

    Whoever adds to it then calls `Engine.wake`.
    """

    def take(self, lead_s: float = 0.0) -> Request | None:
        """The next one, by the source's own order; None where none waits. Does not wait.

        `lead_s` is how long 95 of 100 frames lately were inside at most. One that would be overdue by then is better
        dropped than taken, since it would be examined too late, in place of another. But `lead_s` counts for no more
        than half of a frame's life, so that an engine that is too slow for a room examines some of it all the same.
        """

    def waiting(self) -> bool:
        """Whether `take` would find one, as far as is known without looking closely."""

    def arrived(self) -> int:
        """How many have come since the start, those that were dropped included."""


class Listener(Protocol):
    """Is told what comes of it all. From any of the engine's threads, several at once; must not wait for long."""

    def examined(self, examined: Examined) -> None:
        """A frame is done. For one room and class: one call after the other, in the order in which they came in."""

    def ran(self, detector: str, seconds: float, frames: int) -> None:
        """A detector answered for a batch of so many frames, pre- and post-processing included."""

    def detector_disabled(self, detector: str, why: str) -> None:
        """It failed too often: its labels are blind until it is enabled."""

    def detector_enabled(self, detector: str) -> None:
        """It was disabled, was tried again, and works."""

    def failed(self, failure: StreammonError) -> None:
        """The engine has stopped for good, by itself."""


class Reuse(Protocol):
    """Knows what of a picture is still as a detector has seen it. Asked by the dispatcher's thread and the workers'.

    What was seen, it is told by whoever judges: only the judge knows whether something goes on in a room.
    """

    def unchanged(self, frame: Frame, detectors: Sequence[str], now_s: float) -> Collection[str]:
        """Those of `detectors`, which are due, that need not look: nothing has changed since they last did."""

    def part(self, frame: Frame, detector: str) -> Box | None:
        """The part that has changed since a detector last looked, which is due; None where that does not help."""


def examined_by(detector: Detector, frame: Frame, found: tuple[Detection, ...]) -> Observation:
    """What a detector's fresh look at a frame is to the judge."""
    return Observation(
        room_id=frame.room_id,
        detector=detector.name,
        labels=detector.labels,
        outcome=Outcome.EXAMINED,
        moment=frame.moment,
        at_s=frame.received_s,
        detections=found,
    )


def unexamined_by(detector: Detector, frame: Frame, why: Unexamined) -> Observation:
    """What it is to the judge that a detector did not look."""
    return replace(examined_by(detector, frame, ()), outcome=Outcome.NOT_EXAMINED, unexamined=why)
