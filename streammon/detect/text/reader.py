"""Reads lines of text: PP-OCRv6 recognition of Chinese and English. Several of the engine's threads at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr.ch_ppocr_rec.utils import CTCLabelDecode

from streammon.detect.runtime.batches import batches, gainful_batch
from streammon.detect.runtime.session import Session
from streammon.entities import Image
from streammon.errors import ModelError

_HEIGHT_PX = 48
# Lines are padded to one of these widths, and one that is longer than 40 times its height is squeezed: few shapes,
# because a provider may compile per shape. On a CPU only short lines come several at a time, as one long line fills the
# cores; where batches pay, all do.
_BATCH_SIZES = {160: (4, 1), 320: (4, 1), 640: (1,), 960: (1,), 1280: (1,), 1920: (1,)}


class TextReader:
    """The characters in a line and how sure they are."""

    def __init__(self, session: Session) -> None:
        """Raises ModelError where the file does not carry its list of characters."""
        characters = session.metadata.get("character", "").splitlines()
        if not characters:
            raise ModelError(
                f"{session.name}: carries no list of characters; `streammon models pull` fetches one that does"
            )
        self._session = session
        most = gainful_batch(session.provider)
        self._sizes = {width: tuple(sorted({*sizes, most}, reverse=True)) for width, sizes in _BATCH_SIZES.items()}
        self._decode = CTCLabelDecode(character=characters)

    def warm_up(self) -> None:
        """Run once in every shape."""
        for width, sizes in self._sizes.items():
            for size in sizes:
                self._read_batch([np.zeros((_HEIGHT_PX, width, 3), np.uint8)] * size, width)

    def read(self, crops: Sequence[Image]) -> list[tuple[str, float]]:
        """For each line, cut out and level, the text and its mean confidence, 0..1; no text is ("", 0).

        Lines of about one width run together, whatever pictures they are of. Raises ModelError where the model does not
        run, or says what is no number.
        """
        by_width = defaultdict(list)
        for index, crop in enumerate(crops):
            by_width[_padded_width(crop)].append(index)
        read = [("", 0.0)] * len(crops)
        for width, indices in by_width.items():
            for batch in batches(indices, self._sizes[width]):
                lines = self._read_batch([crops[index] for index in batch], width)
                for index, line in zip(batch, lines, strict=True):
                    read[index] = line
        return read

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        self._session.close()

    def _read_batch(self, crops: Sequence[Image], width: int) -> list[tuple[str, float]]:
        planes = np.stack([_normalised(crop, width) for crop in crops])
        chances = self._session.run({self._session.input_name: planes})[0]
        if not np.isfinite(chances.max()):
            raise ModelError(f"{self._session.name}: gave what is no number")
        lines, _ = self._decode(chances)
        return [(text, float(score)) for text, score in lines]


def _wanted_width(crop: Image) -> int:
    return max(1, math.ceil(_HEIGHT_PX * int(crop.shape[1]) / int(crop.shape[0])))


def _padded_width(crop: Image) -> int:
    return next((width for width in _BATCH_SIZES if width >= _wanted_width(crop)), max(_BATCH_SIZES))


def _normalised(crop: Image, width: int) -> NDArray[np.float32]:
    """3 x 48 x `width`, BGR in -1..1, the rest of the width grey."""
    used = min(_wanted_width(crop), width)
    pixels = cv2.resize(crop, (used, _HEIGHT_PX))[..., ::-1]
    planes = np.zeros((3, _HEIGHT_PX, width), np.float32)
    planes[:, :, :used] = pixels.transpose(2, 0, 1) / np.float32(127.5) - np.float32(1)
    return planes
