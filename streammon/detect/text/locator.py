"""Finds lines of text in a picture: PP-OCRv6 detection. Several of the engine's threads at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_det.utils import DBPostProcess

from streammon.detect.runtime.session import Session
from streammon.entities import Box, Image
from streammon.errors import ModelError

Quad = NDArray[np.float32]
"""Four corners of a line, 4 x 2 (x, y) in pixels, clockwise from its top left."""

# ImageNet's mean and deviation of R, G, B, applied to B, G, R: what PaddleOCR trains and runs it with (`NormalizeImage`
# of its inference.yml). With rapidocr's 0.5 for both it finds 154 words of street scenes, with these 185.
_MEAN = np.float32(255) * np.array((0.485, 0.456, 0.406), np.float32)
_STD = np.float32(255) * np.array((0.229, 0.224, 0.225), np.float32)
# Height x width in pixels, for pictures of about 16:9, 4:3 and square, lying and standing. Few, because a provider may
# compile per shape; multiples of 32, because the network halves its input five times.
_CANVASES = ((384, 640), (640, 384), (480, 640), (640, 480), (640, 640))
# The same for small letters, at twice the cost: of lines of 14 to 23 px in 720p it finds 98 in 100 whole, the other 84.
_FINE_CANVASES = ((544, 960), (960, 544), (736, 960), (960, 736))
# For a part of a picture, at the scale at which all of it would be shown. The cheapest that the part fits on is filled
# with what lies around it; one that is not clearly cheaper than that of all of the picture does not pay.
_PART_CANVASES = ((192, 320), (320, 192), (320, 320), (192, 640), (640, 192), (384, 384))
_MOST_OF_ALL = 0.6
# A part is measured in fractions of the picture: so much, in pixels of the canvas, is rounding.
_SLACK_PX = 0.01
# A small picture is enlarged, which helps small letters, but not until its letters fill the canvas.
_MOST_ENLARGED = 2.0
# Pixels of a canvas.
_SMALL = 20.0


class TextLocator:
    """Boxes around lines of text. The thresholds are those that PP-OCRv6 is published with."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._find_boxes = DBPostProcess(thresh=0.3, box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)
        self._find_traces = DBPostProcess(thresh=0.15, box_thresh=0.25, unclip_ratio=1.6, use_dilation=True)

    def warm_up(self) -> None:
        """Run once on every canvas."""
        for canvas in (*_CANVASES, *_FINE_CANVASES, *_PART_CANVASES):
            self._heat(np.zeros((*canvas, 3), np.uint8), canvas, 1.0)

    def locate(self, image: Image, limit: int, *, fine: bool = False) -> list[Quad]:
        """The lines in `image`, at most `limit`, in reading order; of more, those that are surest to be text.

        With `fine` small letters are found too, which costs twice as much.
        """
        height, width = image.shape[:2]
        canvas = _canvas_for(height, width, _FINE_CANVASES if fine else _CANVASES)
        scale = _scale(canvas, height, width)
        quads, scores = self._find_boxes(self._heat(image, canvas, scale), (height, width))
        if not len(quads):
            return []
        surest = np.argsort(scores)[::-1][:limit]
        return list(TextDetector.sorted_boxes(quads[surest]))

    def may_have(self, image: Image, part: Box) -> bool:
        """Whether there may be a line that reaches into a part of `image`; also where the part is too large to pay.

        Letters are as large as in all of it, and more is shown than the part. What is doubtful counts: a shape may look
        half as much like text as for `locate`, since the network judges by what else it is shown.
        """
        crop = cropped(image, part)
        if crop is None:
            return True
        quads, _ = self._find_traces(self._heat(crop.image, crop.canvas, crop.scale), crop.image.shape[:2])
        return crop.reaches(list(quads), image, part)

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _heat(self, image: Image, canvas: tuple[int, int], scale: float) -> NDArray[np.float32]:
        """How much `image`, shown at `scale`, so that it fits, looks like text: 1 x 1 x its height x width, 0..1.

        Raises ModelError where the model does not run, or says what is no number.
        """
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        pixels = np.zeros((*canvas, 3), np.uint8)
        pixels[:height, :width] = cv2.resize(image, (width, height))
        planes = ((pixels[..., ::-1].astype(np.float32) - _MEAN) / _STD).transpose(2, 0, 1)[None]
        heat = self._session.run({self._session.input_name: planes})[0][:, :, :height, :width]
        if not np.isfinite(heat.max()):
            raise ModelError(f"{self._session.name}: gave what is no number")
        return heat


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """What is shown of a picture for the sake of a part: its pixels from `left` and `top` on, shown at `scale`."""

    image: Image
    left: int
    top: int
    canvas: tuple[int, int]
    scale: float

    def reaches(self, quads: Sequence[Quad], image: Image, part: Box) -> bool:
        """Whether one of `quads`, found in the crop, reaches into the part of all of `image`."""
        if not len(quads):
            return False
        whole = np.array((image.shape[1], image.shape[0]))
        first, last = whole * (part.x, part.y), whole * (part.x + part.w, part.y + part.h)
        found = np.asarray(quads, np.float64) + np.array((self.left, self.top))
        return bool(((found.min(axis=1) < last) & (found.max(axis=1) > first)).all(axis=1).any())


def cropped(image: Image, part: Box) -> Crop | None:
    """The part and what else of the picture the cheapest canvas shows; None where it is too large to pay."""
    height, width = image.shape[:2]
    whole = _canvas_for(height, width)
    scale, most_px = _scale(whole, height, width), _MOST_OF_ALL * whole[0] * whole[1]
    tall, wide = part.h * height * scale - _SLACK_PX, part.w * width * scale - _SLACK_PX
    fitting = [one for one in _PART_CANVASES if one[0] >= tall and one[1] >= wide and one[0] * one[1] <= most_px]
    if not fitting:
        return None
    canvas = min(fitting, key=lambda one: one[0] * one[1])
    top, bottom = _span(part.y * height, (part.y + part.h) * height, math.floor(canvas[0] / scale), height)
    left, right = _span(part.x * width, (part.x + part.w) * width, math.floor(canvas[1] / scale), width)
    return Crop(image=image[top:bottom, left:right], left=left, top=top, canvas=canvas, scale=scale)


def _span(first_px: float, last_px: float, length_px: int, whole_px: int) -> tuple[int, int]:
    """`length_px` about the middle of these two, or all of the picture's where it has no more."""
    start = max(0, min(round((first_px + last_px - length_px) / 2), whole_px - length_px))
    return start, min(whole_px, start + length_px)


def small_px(height: int, width: int) -> float:
    """Lines that are located lower than this in a picture of this size are better looked for with `fine`.

    In 720p it is 40 px: the boxes around letters of 14 to 23 px.
    """
    return _SMALL / _scale(_canvas_for(height, width), height, width)


def _canvas_for(height: int, width: int, canvases: Sequence[tuple[int, int]] = _CANVASES) -> tuple[int, int]:
    """The canvas that shows the picture largest; of equals, the cheapest."""
    return max(canvases, key=lambda canvas: (_scale(canvas, height, width), -canvas[0] * canvas[1]))


def _scale(canvas: tuple[int, int], height: int, width: int) -> float:
    return min(canvas[0] / height, canvas[1] / width, _MOST_ENLARGED)
