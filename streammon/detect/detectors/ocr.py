"""The reader of text: finds lines, reads them, and leaves what they mean to the policy.

Several of the engine's threads at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from streammon.detect.config import OcrConfig
from streammon.detect.detectors.text_locator import Quad, TextLocator
from streammon.detect.detectors.text_reader import TextReader
from streammon.detect.runtime.batches import gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Box, Detection, Frame, Image, Source


class OcrDetector:
    """One detection per line of text, without a label: the policy's keyword lists decide."""

    name = "ocr"
    parallel = 2
    labels: frozenset[str] = frozenset()

    def __init__(self, detection: Session, recognition: Session, config: OcrConfig) -> None:
        """Raises ModelError where the recognition model does not carry its list of characters."""
        self.model = f"{detection.name}+{recognition.name}"
        self.max_batch = gainful_batch(detection.provider)
        self._locator = TextLocator(detection)
        self._reader = TextReader(recognition)
        self._config = config

    def warm_up(self) -> None:
        """Run both models once in every shape."""
        self._locator.warm_up()
        self._reader.warm_up()

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The lines in each frame, in reading order, at most `max_lines` and none read less surely than `min_score`.

        Raises ModelError where a model does not run.
        """
        return [tuple(self._lines(frame.image)) for frame in frames]

    def may_see(self, frame: Frame, part: Box) -> bool:
        """See `ScreeningDetector`: finds lines, and reads none."""
        return self._locator.may_have(frame.image, part)

    def close(self) -> None:
        """Let go of the models. May be called twice."""
        self._locator.close()
        self._reader.close()

    def _lines(self, image: Image) -> list[Detection]:
        quads = self._locator.locate(image, self._config.max_lines)
        read = self._reader.read(image, quads)
        return [
            Detection(
                detector=self.name,
                model=self.model,
                source=Source.TEXT,
                score=min(score, 1.0),
                box=_upright(quad, width_px=image.shape[1], height_px=image.shape[0]),
                text=text,
            )
            for quad, (text, score) in zip(quads, read, strict=True)
            if score >= self._config.min_score and text.strip()
        ]


def _upright(quad: Quad, *, width_px: int, height_px: int) -> Box:
    left, top = quad.min(axis=0)
    right, bottom = quad.max(axis=0)
    return Box(
        x=float(left / width_px),
        y=float(top / height_px),
        w=float((right - left) / width_px),
        h=float((bottom - top) / height_px),
    )
