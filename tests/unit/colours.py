"""What the tests of `fleet` watch: rooms of plain colours, a detector that tells them apart, and a policy for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from streammon.deliver.outbox import Outbox
from streammon.detect.detector import Detector
from streammon.detect.scheduling.request import examined_by, unexamined_by
from streammon.entities import Detection, Frame, Image, Moment, Observation, Room, RoomState, Source, Unexamined
from streammon.events import Monitor, StreamEvent, ViolationEvent
from streammon.ingest.rooms.wire import RoomChanged
from streammon.judge.policy import Policy
from streammon.judge.policy_load import load_policy
from streammon.judge.room import Now
from streammon.metrics import Metrics

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
MONITOR = Monitor(version="1", worker="w1")
ADULT, CHILD, GORE = "pornography.adult", "pornography.child", "violence.gore"
RED, GREEN, BLUE, BLACK, WHITE, MAGENTA = (
    (240, 0, 0), (0, 240, 0), (0, 0, 240), (0, 0, 0), (255, 255, 255), (240, 0, 240),
)  # fmt: skip
POLICY = f"""
version: 1
id: colours
defaults: {{confirm: 1 in 10s, clear_after: 1s}}
labels:
  {ADULT}: {{review: 0.5, block: 0.9}}
  {CHILD}: {{review: 0.5}}
  {GORE}: {{review: 0.5}}
blind_after: 5s
"""
Colour = tuple[int, int, int]


class ColourDetector:
    """Red is adult, green is gore, blue is child; the score is the mean of the channel, 0..1. White is too much."""

    name, model, labels = "colour", "means", frozenset({ADULT, GORE, CHILD})

    def __init__(self) -> None:
        self.seen: list[int] = []

    def warm_up(self) -> None:
        """There is nothing to warm."""

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """See Detector."""
        return [self._look(frame) for frame in frames]

    def close(self) -> None:
        """There is nothing to let go of."""

    def _look(self, frame: Frame) -> tuple[Detection, ...]:
        self.seen.append(frame.seq)
        means = frame.image.mean(axis=(0, 1)) / 255
        if means.min() == 1.0:
            raise MemoryError("white")
        return tuple(
            Detection(detector=self.name, model=self.model, source=Source.VISUAL, score=float(mean), label=label)
            for mean, label in zip(means, (ADULT, GORE, CHILD), strict=True)
            if mean >= 0.5
        )


def looked(shown: Frame, detector: Detector | None = None) -> list[Observation]:
    """What a colour detector's look at a frame is to the judge."""
    detector = detector if detector is not None else ColourDetector()
    try:
        return [examined_by(detector, shown, *detector.detect([shown]))]
    except MemoryError:
        return [unexamined_by(detector, shown, Unexamined.FAILED)]


def policy(folder: Path, extra: str = "") -> Policy:
    path = folder / "policy.yaml"
    path.write_text(POLICY + extra, encoding="utf-8")
    return load_policy(path)


def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def value(counted: Metrics, name: str, **labels: str) -> float:
    """A metric's value, 0 where it has not been touched."""
    sample = counted.registry.get_sample_value(name, labels)
    return 0.0 if sample is None else sample


def room(room_id: str = "r1") -> Room:
    return Room(room_id=room_id, url="rtmp://h/a", tenant="acme", passthrough={"order": 7})


def now(at_s: float) -> Now:
    return Now(monotonic_s=at_s, utc=datetime.fromtimestamp(AT.timestamp() + at_s, UTC))


def moment(at_s: float) -> Moment:
    return Moment(session=1, pts_s=at_s, received_at=now(at_s).utc)


def plain(colour: Colour) -> Image:
    image = np.full((90, 160, 3), colour, np.uint8)
    image.flags.writeable = False
    return image


def frame(colour: Colour, at_s: float, room_id: str = "r1", seq: int = 1) -> Frame:
    return Frame(
        room_id=room_id, moment=moment(at_s), seq=seq, key_frame=True, width=160, height=90, image=plain(colour),
        received_s=at_s, deadline_s=at_s + 4,
    )  # fmt: skip


def change(state: RoomState, room_id: str = "r1", *, session: int = 1, reason: str | None = None) -> RoomChanged:
    return RoomChanged(room_id=room_id, session=session, state=state, at=AT, reason=reason)


def committed(outbox: Outbox, sink: str = "memory") -> list[ViolationEvent | StreamEvent]:
    """Everything in the outbox, read back from what would be published."""
    kinds: dict[str, type[ViolationEvent | StreamEvent]] = {
        "streammon.violation.v1": ViolationEvent,
        "streammon.stream.v1": StreamEvent,
    }
    return [msgspec.json.decode(sent.value, type=kinds[sent.type]) for _, sent in outbox.pending(sink, 1000)]


def violations(outbox: Outbox) -> list[ViolationEvent]:
    return [event for event in committed(outbox) if isinstance(event, ViolationEvent)]


def until(outbox: Outbox, condition: Callable[[], bool], within_s: float = 3.0) -> None:
    """Waits for a condition that the engine's thread will make true; fails where it does not."""
    give_up_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_s, "it did not come"
        outbox.wait(outbox.version, 0.01)
