"""How a place in a picture looks, kept small: whether the text that stands there is still the same. Pure.

A print is of edges, which a picture that changes behind the letters moves less than it moves grey levels. Measured on
285 pairs of lines of 14 to 40 px, encoded live over scenes that are cut every two seconds: of lines in which one
character was exchanged 1 % come to a `least` of 0.73 or more. As a whole, other lines of equal size come to 0.63 in
1 %, and the same line to 0.65 in half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.text.placed import Placed
from streammon.entities import Image

Print = NDArray[np.uint8]
"""The strength of edges (0..255) in 16 rows and 8 to 256 columns."""

_ROWS, _MOST_COLUMNS = 16, 256
# Boxes around one text differ by so many rows and columns from picture to picture.
_SHIFT = 3
# About the width of one character.
_WINDOW = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike two places look, -1..1: as a `whole`, and where they are `least` alike, by about a character."""

    whole: float
    least: float


def print_of(image: Image, place: Placed) -> Print:
    """The print of a place, which may reach out of the picture."""
    top, bottom = max(0, int(place.top)), max(int(place.top) + 1, round(place.bottom))
    left, right = max(0, int(place.left)), max(int(place.left) + 1, round(place.right))
    crop = image[min(top, image.shape[0] - 1) : bottom, min(left, image.shape[1] - 1) : right]
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.convertScaleAbs(cv2.Sobel(grey, cv2.CV_16S, *way)) for way in ((1, 0), (0, 1)))
    edges = cv2.addWeighted(across, 0.5, down, 0.5, 0)
    columns = round(_ROWS * crop.shape[1] / crop.shape[0])
    size = (min(max(columns, _WINDOW // 2), _MOST_COLUMNS), _ROWS)
    return cast(Print, cv2.resize(edges, size, interpolation=cv2.INTER_AREA))


def likeness(before: Print, now: Print) -> Likeness:
    """Compares two prints of one place; prints whose widths differ by more than a tenth are not alike at all."""
    narrow, wide = sorted((before.shape[1], now.shape[1]))
    if wide > 1.1 * narrow + 2:
        return Likeness(whole=-1.0, least=-1.0)
    fitted = now if narrow == wide else cv2.resize(now, (before.shape[1], _ROWS))
    padded = cv2.copyMakeBorder(fitted, _SHIFT, _SHIFT, _SHIFT, _SHIFT, cv2.BORDER_REPLICATE)
    matches = cv2.matchTemplate(padded, before, cv2.TM_CCOEFF_NORMED)
    _, whole, _, (x, y) = cv2.minMaxLoc(matches)
    shifted = padded[y : y + _ROWS, x : x + before.shape[1]]
    starts = range(0, max(1, before.shape[1] - _WINDOW // 2), _WINDOW // 2)
    least = min(_correlation(before[:, s : s + _WINDOW], shifted[:, s : s + _WINDOW]) for s in starts)
    return Likeness(whole=float(whole), least=least)


def _correlation(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Pearson's; two that are both of one level are alike."""
    first, second = one.astype(np.float32), other.astype(np.float32)
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first * first).sum() * (second * second).sum()))
    if size > 0:
        return float((first * second).sum()) / size
    return 1.0 if not first.any() and not second.any() else 0.0
