"""Finds lines of text in a picture: PP-OCRv6 detection. Several of the engine's threads at once."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_det.utils import DBPostProcess

from streammon.detect.runtime.session import Session
from streammon.entities import Image

Quad = NDArray[np.float32]
"""Four corners of a line, 4 x 2 (x, y) in pixels, clockwise from its top left."""

# Height x width in pixels, for pictures of about 16:9, 4:3 and square, lying and standing. Few, because a provider may
# compile per shape; multiples of 32, because the network halves its input five times.
_CANVASES = ((384, 640), (640, 384), (480, 640), (640, 480), (640, 640))
# A small picture is enlarged, which helps small letters, but not until its letters fill the canvas.
_MOST_ENLARGED = 2.0


class TextLocator:
    """Boxes around lines of text. The thresholds are those that PP-OCRv6 is published with."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._find_boxes = DBPostProcess(thresh=0.3, box_thresh=0.5, unclip_ratio=1.6, use_dilation=True)

    def warm_up(self) -> None:
        """Run once on every canvas."""
        for height, width in _CANVASES:
            self.locate(np.zeros((height, width, 3), np.uint8), limit=1)

    def locate(self, image: Image, limit: int) -> list[Quad]:
        """The lines in `image`, at most `limit`, in reading order; of more, those that are surest to be text."""
        height, width = image.shape[:2]
        canvas = _canvas_for(height, width)
        scale = _scale(canvas, height, width)
        used_height, used_width = max(1, round(height * scale)), max(1, round(width * scale))
        pixels = np.zeros((*canvas, 3), np.uint8)
        pixels[:used_height, :used_width] = cv2.resize(image, (used_width, used_height))
        # The network wants BGR in -1..1.
        planes = pixels[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - np.float32(1)
        heat = self._session.run({self._session.input_name: planes})[0]
        quads, scores = self._find_boxes(heat[:, :, :used_height, :used_width], (height, width))
        if not len(quads):
            return []
        surest = np.argsort(scores)[::-1][:limit]
        return list(TextDetector.sorted_boxes(quads[surest]))

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()


def _canvas_for(height: int, width: int) -> tuple[int, int]:
    """The canvas that shows the picture largest; of equals, the cheapest."""
    return max(_CANVASES, key=lambda canvas: (_scale(canvas, height, width), -canvas[0] * canvas[1]))


def _scale(canvas: tuple[int, int], height: int, width: int) -> float:
    return min(canvas[0] / height, canvas[1] / width, _MOST_ENLARGED)
