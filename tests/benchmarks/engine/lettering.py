"""Writes lines of Chinese and English as people see them over a stream: white, with a dark edge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Canvas
from PIL import ImageDraw

from streammon.deliver.evidence_font import Lettering
from streammon.entities import Image

Strip = NDArray[np.uint8]
"""H x W x 4, uint8, RGBA: text on nothing."""

_EDGE_PX = 2


def written(lettering: Lettering, text: str, height_px: int, colour: tuple[int, int, int]) -> Strip:
    """One line of text whose letters are about `height_px` high."""
    font = lettering.font(height_px * 40)
    left, top, right, bottom = font.getbbox(text, stroke_width=_EDGE_PX)
    canvas = Canvas.new("RGBA", (int(right - left) + 2, int(bottom - top) + 2))
    place = (1 - left, 1 - top)
    ImageDraw.Draw(canvas).text(place, text, colour, font, stroke_width=_EDGE_PX, stroke_fill=(20, 20, 20))
    return np.array(canvas)


def put(image: Image, strip: Strip, left_px: int, top_px: int) -> None:
    """Draws the part of `strip` that falls into the picture, in place."""
    right_px = min(left_px + strip.shape[1], image.shape[1])
    first_px = max(left_px, 0)
    if first_px >= right_px:
        return
    seen = strip[:, first_px - left_px : right_px - left_px]
    under = image[top_px : top_px + strip.shape[0], first_px:right_px]
    share = cv2.merge([seen[..., 3]] * 3)
    kept = cv2.multiply(under, cv2.bitwise_not(share), scale=1 / 255)
    under[...] = cv2.add(kept, cv2.multiply(seen[..., :3], share, scale=1 / 255))
