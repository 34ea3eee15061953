"""Reads a recording as if a model on trial had been its detector's own. Pure but for the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from streammon.entities import Moment
from streammon.errors import StreammonError
from streammon.judge.recording import RecordedFrame, RecordedLook, read_recording

Looks = dict[tuple[str, Moment], RecordedLook]
"""A room's moment → what the model on trial saw then."""


def read_as_seen_by_shadow(path: Path, detector: str) -> Iterator[RecordedFrame]:
    """The frames of a recording, the detector's own looks replaced by those of the model that was on trial for it.

    What that was not shown, the detector has not examined. Of several versions the last one to look counts. Raises
    ConfigError as `read_recording` does, StreammonError where there was no trial.
    """
    looks = _looks(read_recording(path), detector)
    if not looks:
        raise StreammonError(f"{path}: nothing of a model on trial for detector {detector!r} is recorded there")
    return (_with_shadow(frame, detector, looks) for frame in read_recording(path))


def _looks(frames: Iterable[RecordedFrame], detector: str) -> Looks:
    return {
        (frame.room_id, frame.moment): replace(look, shadow=None)
        for frame in frames
        for look in frame.looks
        if look.shadow is not None and look.detector == detector
    }


def _with_shadow(frame: RecordedFrame, detector: str, looks: Looks) -> RecordedFrame:
    own = tuple(look for look in frame.looks if look.shadow is None)
    if not own:  # the trial's own line comes later than the frame that it is of
        return frame
    others = tuple(look for look in own if look.detector != detector)
    seen = looks.get((frame.room_id, frame.moment))
    return replace(frame, looks=others if seen is None else (*others, seen))
