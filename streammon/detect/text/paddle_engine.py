"""The official paddleocr package as the reader's engine: the child searches and reads, what to is decided here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from rapidocr.ch_ppocr_det import TextDetector

from streammon.detect.paddle import worker
from streammon.detect.paddle.config import PaddleOcrConfig
from streammon.detect.paddle.process import PaddleProcess, Patience
from streammon.detect.text.locator import Quad, cropped
from streammon.entities import Box, Image
from streammon.errors import ModelError
from streammon.models.catalog import load_catalog
from streammon.models.paddle import check_directory

# As the default engine's canvases: the longest side that a picture is shown with, and how much it is enlarged.
_SIDE_PX, _FINE_SIDE_PX, _MOST_ENLARGED = 640, 960, 2.0
# What is only a trace of a line, as `TextLocator.may_have` has it.
_TRACE = {"thresh": 0.15, "box_thresh": 0.25}

_Point = tuple[float, float]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddleModel:
    """A model by its `official` name, in a directory as the package wants it."""

    official: str
    directory: Path

    @classmethod
    def checked(cls, name: str, weights: Path) -> Self:
        """Of the catalogue's name and its weights. Raises ModelMissing or ModelCorrupt where it is not laid out."""
        model = load_catalog().get(name)
        return cls(official=str(model.paddle), directory=check_directory(model, weights))


class PaddleEngine:
    """PP-OCR as the official package runs it: its pre- and post-processing, its thresholds.

    One picture at a time, since there is one child. It is shown no more than the default engine's models are.
    """

    max_batch = 1
    parallel = 1

    def __init__(self, process: PaddleProcess, detection: PaddleModel, recognition: PaddleModel) -> None:
        """The process is closed with it, and is started by `warm_up`, or by what is asked first."""
        self.model = f"paddleocr:{detection.official}+{recognition.official}"
        self._process = process

    def warm_up(self) -> None:
        """Start the child and have it work once. Raises ModelError with what it said where it cannot."""
        self._process.start()
        grey = np.full((360, 640, 3), 114, np.uint8)
        self.locate(grey, 1, fine=True)
        self.read([grey[:48, :320]])

    def locate(self, image: Image, limit: int, *, fine: bool) -> list[Quad]:
        """See `TextEngine`."""
        longest = max(image.shape[:2])
        side_px = min(_FINE_SIDE_PX if fine else _SIDE_PX, round(_MOST_ENLARGED * longest))
        quads, scores = self._found(image, {"side_px": side_px})
        surest = np.argsort(scores)[::-1][:limit]
        return list(TextDetector.sorted_boxes(quads[surest])) if len(quads) else []

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        """See `TextEngine`."""
        if not crops:
            return []
        request = {"do": "read", "shapes": [crop.shape[:2] for crop in crops]}
        lines = _understood(
            self._process.ask(request, [np.ascontiguousarray(crop).data for crop in crops]), _Read
        ).lines
        if len(lines) != len(crops):
            raise ModelError(f"paddleocr read {len(lines)} lines of {len(crops)}")
        if not all(math.isfinite(score) for _, score in lines):
            raise ModelError("paddleocr read lines with a score that is no number")
        return lines

    def may_have(self, image: Image, part: Box) -> bool:
        """See `TextEngine`."""
        crop = cropped(image, part)
        if crop is None:
            return True
        side_px = max(1, round(crop.scale * max(crop.image.shape[:2])))
        quads, _ = self._found(crop.image, {"side_px": side_px, **_TRACE})
        return crop.reaches(list(quads), image, part)

    def close(self) -> None:
        """End the child. May be called twice."""
        self._process.close()

    def _found(self, image: Image, how: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Corners, N x 4 x 2 (x, y) in pixels, and scores of lines."""
        shown = np.ascontiguousarray(image)
        request = {"do": "locate", "shape": shown.shape[:2], **how}
        found = _understood(self._process.ask(request, [shown.data]), _Located)
        quads, scores = np.array(found.quads, np.float32).reshape(-1, 4, 2), np.array(found.scores, np.float64)
        if len(quads) != len(scores) or not (np.isfinite(quads).all() and np.isfinite(scores).all()):
            raise ModelError("paddleocr found lines without a place or a score")
        return quads, scores


def open_paddle(
    config: PaddleOcrConfig,
    detection: PaddleModel,
    recognition: PaddleModel,
    left_s: Callable[[], float | None] = lambda: None,
) -> PaddleEngine:
    """The engine as it is configured. `left_s` is what is left to the calling thread, None where nothing limits it.

    Raises ValueError where `config.python` is null, which a checked configuration with this engine excludes.
    """
    config.check()
    # An environment's interpreter is a link that must not be followed.
    command = (str(Path(str(config.python)).absolute()), "-I", "-B", worker.__file__)
    opening = {
        "threads": config.threads,
        "detection": [detection.official, str(detection.directory.resolve())],
        "recognition": [recognition.official, str(recognition.directory.resolve())],
    }
    patience = Patience(ready_s=config.startup_timeout, answer_s=config.timeout)
    return PaddleEngine(PaddleProcess(command, opening, patience, left_s), detection, recognition)


class _Located(msgspec.Struct):
    quads: list[tuple[_Point, _Point, _Point, _Point]]
    scores: list[float]


class _Read(msgspec.Struct):
    lines: list[tuple[str, float]]


def _understood(answer: dict[str, Any], kind: type[Answer]) -> Answer:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise ModelError(f"paddleocr's answer is not understood: {error}") from error
