"""Records what the detectors saw: one JSON line per frame, for audits, for tuning, and to judge anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streammon.entities import Detection, Moment, Observation, Outcome, Room, Unexamined
from streammon.errors import ConfigError, Problem

# A file that is no recording at all need not be told line by line.
_MOST_PROBLEMS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLook:
    """One detector's look at the frame; see Observation.

    `shadow` names the version of a model that looked beside the detector's own, for trial; None where its own looked.
    """

    detector: str
    labels: tuple[str, ...]
    outcome: Outcome
    detections: tuple[Detection, ...] = ()
    unexamined: Unexamined | None = None
    of_frame: bool = True
    shadow: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFrame:
    """One frame of one room, as all detectors saw it. `at_s` is of the recording machine's monotonic clock."""

    room_id: str
    tenant: str
    interval_s: float
    moment: Moment
    at_s: float
    looks: tuple[RecordedLook, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for what no detector says."""
        if self.moment.received_at.tzinfo is None:
            raise ValueError("`moment.received_at` should say its time zone")
        if self.interval_s <= 0:
            raise ValueError("`interval_s` should be above 0")
        if not all(0 <= detection.score <= 1 for look in self.looks for detection in look.detections):
            raise ValueError("every `score` should be from 0 to 1")

    def observations(self) -> list[Observation]:
        """What a judge is fed: nothing of a model on trial."""
        return [
            Observation(
                room_id=self.room_id,
                detector=look.detector,
                labels=frozenset(look.labels),
                outcome=look.outcome,
                moment=self.moment,
                at_s=self.at_s,
                detections=look.detections,
                unexamined=look.unexamined,
                of_frame=look.of_frame,
            )
            for look in self.looks
            if look.shadow is None
        ]


def encode_frame(room: Room, observations: Sequence[Observation], shadow: str | None = None) -> bytes:
    """The line, without its end, of one frame's observations: at least one, all of one room and one moment.

    `shadow` is the version of the model on trial that they are of; None for the detectors' own.
    """
    first = observations[0]
    frame = RecordedFrame(
        room_id=room.room_id,
        tenant=room.tenant,
        interval_s=room.interval_s,
        moment=first.moment,
        at_s=first.at_s,
        looks=tuple(
            RecordedLook(
                detector=observation.detector,
                labels=tuple(sorted(observation.labels)),
                outcome=observation.outcome,
                detections=observation.detections,
                unexamined=observation.unexamined,
                of_frame=observation.of_frame,
                shadow=shadow,
            )
            for observation in observations
        ),
    )
    return msgspec.json.encode(frame)


def read_recording(path: Path) -> Iterator[RecordedFrame]:
    """The frames of a recording, in its order; blank lines are passed over.

    Raises ConfigError: at once where the file cannot be read, else at its end, naming the lines that are no frames.
    """
    problems: list[Problem] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield msgspec.json.decode(line, type=RecordedFrame)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    problems.append(_problem(path, number, str(error)))
                if len(problems) == _MOST_PROBLEMS:
                    break
    except OSError as error:
        raise ConfigError([_problem(path, 1, f"cannot be read: {error.strerror}")]) from error
    if problems:
        raise ConfigError(problems)


def _problem(path: Path, line: int, reason: str) -> Problem:
    return Problem(file=str(path), line=line, key="", reason=reason)
