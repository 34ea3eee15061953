"""What the engine asks of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streammon.entities import Detection, Frame


class Detector(Protocol):
    """Looks at frames and says what it sees. Used by one thread: the engine's.

    `name` is what configuration, events and metrics call it, `model` the weights or library that it runs. `labels` are
    all that it can see; empty for a reader of text, whose labels come from the policy's keyword lists.
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
