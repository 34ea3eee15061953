"""Tells by a cheap look that a room without text still shows none. One thread's.

A line of text is a row of edges where there were none. What is compared is how much neighbouring pixels differ, by
cells of 8 x 8 pixels, against the most that the last looks without text saw in each cell. Measured on 459 legible lines
of 14 to 40 px, each at one moment, encoded live: at most 3 do not stand out so far. A room in which a head talks and
the camera sways stands out in one look of ten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.change.picture_print import PicturePrint, print_of
from streammon.entities import Image

# A room that has shown no text for so long is quiet; then it is looked at in full so often, whatever it shows.
QUIET_S = 60.0
FULL_S = 45.0
_KEPT = 3
# A row of so many cells in which each stands out by so many levels, of which no cell counts for more than the cap.
_ROW_CELLS, _STANDS_OUT, _CAP = 6, 14.0, 24.0


class QuietRoom:
    """What a room looks like without text. Times are PTS in seconds."""

    def __init__(self) -> None:
        self._empty: deque[PicturePrint] = deque(maxlen=_KEPT)
        self._text_s: float | None = None
        self._full_s = 0.0

    def shows_nothing_new(self, image: Image, at_s: float) -> bool:
        """Whether the picture need not be searched for text: the room is quiet, and nothing like a line came in.

        Such a picture was examined: what it had to differ by from one without text was looked for in it. Single
        characters that are doubtful (see `Line.written`) do not keep a room from being quiet, and are told at the full
        searches only.
        """
        if self._text_s is None or at_s - self._text_s < QUIET_S or at_s - self._full_s >= FULL_S or not self._empty:
            return False
        return not came_in(self._empty, print_of(image))

    def searched(self, image: Image, at_s: float, *, text: bool) -> None:
        """The picture was searched in full; `text`: something is written in it."""
        self._full_s = at_s
        if text or self._text_s is None:
            self._text_s = at_s
        elif at_s - self._text_s >= QUIET_S / 2:
            self._empty.append(print_of(image))


def came_in(empty: Collection[PicturePrint], now: PicturePrint) -> bool:
    """Whether something like a line of text is in a picture that is in none of those without text, of one size."""
    known = np.maximum.reduce([picture.details for picture in empty])
    if known.shape != now.details.shape or not known.size:
        return True
    more = np.clip(now.details.astype(np.float32) - known, 0.0, _CAP)
    rows = cast(NDArray[np.float32], cv2.blur(more, (_ROW_CELLS, 1), borderType=cv2.BORDER_CONSTANT))
    return bool(rows.max() >= _STANDS_OUT)
