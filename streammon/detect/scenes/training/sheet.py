"""A sheet of small pictures on which people see at a glance what a head got wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from streammon.detect.scenes.training.head import Mistake
from streammon.entities import Image
from streammon.library.read_picture import read_picture

_MOST = 48
_COLUMNS = 8
_SIDE_PX, _LINE_PX = 160, 22
_MISSED, _FALSE = (255, 190, 90), (255, 110, 110)


def error_sheet(mistakes: Sequence[Mistake]) -> Image:
    """The worst mistakes, 8 in a row: first those that were found and should not be, then those that were missed."""
    shown = sorted(mistakes[:_MOST], key=lambda one: one.positive)
    rows = max(1, math.ceil(len(shown) / _COLUMNS))
    sheet = np.full((rows * (_SIDE_PX + _LINE_PX), _COLUMNS * _SIDE_PX, 3), 24, np.uint8)
    for number, mistake in enumerate(shown):
        row, column = divmod(number, _COLUMNS)
        top, left = row * (_SIDE_PX + _LINE_PX), column * _SIDE_PX
        small = _fitting(read_picture(mistake.file))
        height, width = small.shape[:2]
        sheet[top : top + height, left : left + width] = small
        told, colour = ("missed", _MISSED) if mistake.positive else ("false", _FALSE)
        place = (left + 4, top + _SIDE_PX + 16)
        cv2.putText(sheet, f"{told} {mistake.score:.2f}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return sheet


def _fitting(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = (_SIDE_PX - 4) / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
