"""What the reader of text asks of what finds lines and reads them, and the engine that it has by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streammon.detect.runtime.batches import gainful_batch
from streammon.detect.runtime.session import Session
from streammon.detect.text.locator import Quad, TextLocator
from streammon.detect.text.reader import TextReader
from streammon.entities import Box, Image


class TextEngine(Protocol):
    """Finds lines of text in pictures, and reads them. Several of the engine's threads at once.

    `model` names what runs; `max_batch` and `parallel` are as a `Detector`'s. All raise ModelError where a model does
    not run, of which some are `retryable`.
    """

    @property
    def model(self) -> str: ...

    @property
    def max_batch(self) -> int: ...

    @property
    def parallel(self) -> int: ...

    def warm_up(self) -> None:
        """Run once in every shape."""

    def locate(self, image: Image, limit: int, *, fine: bool) -> list[Quad]:
        """The lines in a picture, at most `limit`, in reading order; of more, those that are surest to be text.

        With `fine` lines are found that are lower than `small_px`, which costs about twice as much.
        """

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        """For each line of text, cut out and level, the text and its mean confidence, 0..1; no text is ("", 0)."""

    def may_have(self, image: Image, part: Box) -> bool:
        """Whether there may be a line that reaches into a part of `image`; also where that cannot be told cheaply."""

    def close(self) -> None:
        """Let go of the models. May be called twice."""


class SessionEngine:
    """PP-OCR models on our own sessions, before and behind them what rapidocr does."""

    parallel = 2

    def __init__(self, detection: Session, recognition: Session) -> None:
        """Raises ModelError where the recognition model does not carry its list of characters."""
        self.model = f"{detection.name}+{recognition.name}"
        self.max_batch = gainful_batch(detection.provider)
        self._locator = TextLocator(detection)
        self._reader = TextReader(recognition)

    def warm_up(self) -> None:
        """Run both models once in every shape."""
        self._locator.warm_up()
        self._reader.warm_up()

    def locate(self, image: Image, limit: int, *, fine: bool) -> list[Quad]:
        """See `TextLocator.locate`."""
        return self._locator.locate(image, limit, fine=fine)

    def may_have(self, image: Image, part: Box) -> bool:
        """See `TextLocator.may_have`."""
        return self._locator.may_have(image, part)

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        """See `TextReader.read`."""
        return self._reader.read(crops)

    def close(self) -> None:
        """Let go of both models. May be called twice."""
        self._locator.close()
        self._reader.close()
