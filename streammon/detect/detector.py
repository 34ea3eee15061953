"""What the engine asks of a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from streammon.entities import Box, Detection, Frame

Found = Mapping[str, tuple[Detection, ...]]
"""What a frame's other detectors found, by their names."""


class Detector(Protocol):
    """Looks at frames and says what it sees.

    `name` is what configuration, events and metrics call it, `model` the weights or library that it runs. `labels` are
    all that it can see; empty for a reader of text, whose labels come from the policy's keyword lists.

    It may also have `max_batch`, the most frames that one call gains from (else 1), and `parallel`, in how many threads
    at once `detect` may run (else 1: one call after the other, though not always in one thread).
    A call that does not come back in its time is given up, and the next one does not wait for it.
    """

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def labels(self) -> frozenset[str]: ...

    def warm_up(self) -> None:
        """Run once in every input shape, so that no frame waits for a provider to compile."""

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """What is in each frame, in the order of `frames`. Raises StreammonError where the model does not run."""

    def close(self) -> None:
        """Let go of the models. May be called twice."""


@runtime_checkable
class InformedDetector(Protocol):
    """A detector that is told what its gates (`only_if`) found, such as where the faces are whose age it tells."""

    def detect_in(self, frames: Sequence[Frame], found: Sequence[Found]) -> list[tuple[Detection, ...]]:
        """Called in place of `detect`: `found` has one entry per frame, which names the gates that found something."""


@runtime_checkable
class ScreeningDetector(Protocol):
    """A detector that can tell at less cost than that of a look that there is nothing for it in a part of a frame."""

    def may_see(self, frame: Frame, part: Box) -> bool:
        """Asked before `detect`, where a frame is as it was when the detector last looked, save for `part`.

        False spares the look: there is nothing in the part, nor anything that goes on beyond its border. True where the
        part is too large to pay, and in doubt.
        """


def max_batch_of(detector: Detector) -> int:
    """The most frames that one call of `detect` gains from."""
    return int(getattr(detector, "max_batch", 1))


def parallel_of(detector: Detector) -> int:
    """In how many threads at once `detect` may run."""
    return int(getattr(detector, "parallel", 1))
