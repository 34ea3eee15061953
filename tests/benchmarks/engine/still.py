"""The still mix: somebody who talks before a background that does not move, under an overlay that does not change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.deliver.evidence_font import Lettering
from streammon.entities import Image
from tests.benchmarks.engine.lettering import put, written
from tests.benchmarks.engine.moving import HEIGHT, WIDTH
from tests.benchmarks.engine.photographs import photograph

Grid = NDArray[np.float32]

_NOISE = 2.0
"""Standard deviation of the camera's noise, in steps of brightness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitter:
    """A portrait, and where what moves is in it: x, y of its middle and its two half axes, as fractions of its width.

    `mirrored`: the photograph is turned round first.
    """

    photograph: str
    head: tuple[float, float, float, float]
    mouth: tuple[float, float, float, float]
    eyes: tuple[tuple[float, float, float, float], ...]
    title: str
    mirrored: bool = False


SITTERS = (
    Sitter(
        photograph="astronaut.png",
        head=(0.44, 0.20, 0.19, 0.22),
        mouth=(0.435, 0.285, 0.07, 0.045),
        eyes=((0.40, 0.20, 0.03, 0.02), (0.48, 0.20, 0.03, 0.02)),
        title="太空聊天室 Space Talk",
    ),
    Sitter(
        photograph="grace_hopper.jpg",
        head=(0.52, 0.42, 0.27, 0.34),
        mouth=(0.53, 0.545, 0.11, 0.07),
        eyes=((0.43, 0.365, 0.05, 0.03), (0.60, 0.365, 0.05, 0.03)),
        title="程序员之夜 LIVE",
    ),
    Sitter(
        photograph="astronaut.png",
        head=(0.56, 0.20, 0.19, 0.22),
        mouth=(0.565, 0.285, 0.07, 0.045),
        eyes=((0.60, 0.20, 0.03, 0.02), (0.52, 0.20, 0.03, 0.02)),
        mirrored=True,
        title="欢迎来到直播间 关注不迷路",
    ),
)


class StillPicture:
    """One room's programme, the same for the same `number`."""

    def __init__(self, photographs: Path, number: int) -> None:
        self._sitter = SITTERS[number % len(SITTERS)]
        self._set = _studio(photograph(photographs, self._sitter.photograph), self._sitter)
        self._y, self._x = np.mgrid[0:HEIGHT, 0:HEIGHT].astype(np.float32)
        self._head = _fading(self._x, self._y, self._sitter.head)
        self._mouth = _fading(self._x, self._y, self._sitter.mouth)
        self._eyes = [(_fading(self._x, self._y, eye), eye[1] * HEIGHT) for eye in self._sitter.eyes]
        self._rate = 1.0 + 0.1 * number
        self._noise = np.random.default_rng(number)
        self._grain = self._noise.normal(0, _NOISE, (HEIGHT * 2, WIDTH * 2, 1)).astype(np.int16)

    def at(self, t_s: float) -> Image:
        """The frame at `t_s` seconds, HEIGHT x WIDTH x 3, RGB. Its noise is another at each call."""
        picture = self._set.copy()
        left_px = (WIDTH - HEIGHT) // 2
        seat = picture[:, left_px : left_px + HEIGHT]
        seat[...] = cv2.remap(seat, *self._places(t_s), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        down, along = self._noise.integers(0, (HEIGHT, WIDTH))
        grain = self._grain[down : down + HEIGHT, along : along + WIDTH]
        seen: Image = np.clip(picture + grain, 0, 255).astype(np.uint8)
        return seen

    def _places(self, t_s: float) -> tuple[Grid, Grid]:
        """Where each pixel of the portrait comes from: the head sways, the mouth opens and closes, eyes blink."""
        t_s *= self._rate
        sway_px = 6 * math.sin(2 * math.pi * t_s / 5.3) + 3 * math.sin(2 * math.pi * t_s / 2.1)
        nod_px = 3 * math.sin(2 * math.pi * t_s / 3.7)
        talks = max(0.0, math.sin(2 * math.pi * t_s / 7.9) + 0.6)
        open_share = 0.45 * talks * abs(math.sin(2 * math.pi * 2.3 * t_s))
        from_middle = self._y - self._sitter.mouth[1] * HEIGHT
        x = self._x - sway_px * self._head
        y = self._y - nod_px * self._head - open_share * from_middle * self._mouth
        if t_s % 3.9 < 0.15:
            for weight, middle_px in self._eyes:
                y = y + 1.5 * (self._y - middle_px) * weight
        return x.astype(np.float32), y.astype(np.float32)


def _fading(x: Grid, y: Grid, ellipse: tuple[float, float, float, float]) -> Grid:
    """1 in the middle of the ellipse and 0 outside, so that nothing tears."""
    middle_x, middle_y, half_x, half_y = (share * HEIGHT for share in ellipse)
    outside = ((x - middle_x) / half_x) ** 2 + ((y - middle_y) / half_y) ** 2
    weight: Grid = np.sqrt(np.clip(1 - outside, 0, 1), dtype=np.float32)
    return weight


def _studio(photo: Image, sitter: Sitter) -> Image:
    """The portrait, its upper square HEIGHT high, before its own blurred enlargement, with the overlay on top."""
    side = min(photo.shape[:2])
    square = photo[:side, side - 1 :: -1] if sitter.mirrored else photo[:side, :side]
    portrait = cv2.resize(square, (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC)
    behind = cv2.GaussianBlur(cv2.resize(portrait, (WIDTH, WIDTH))[WIDTH - HEIGHT :], (0, 0), 25)
    left_px = (WIDTH - HEIGHT) // 2
    behind[:, left_px : left_px + HEIGHT] = portrait
    picture: Image = np.ascontiguousarray(behind, np.uint8)
    lettering = Lettering()
    put(picture, written(lettering, sitter.title, 32, (255, 255, 255)), 24, 24)
    put(picture, written(lettering, "LIVE 1,284", 24, (255, 214, 90)), WIDTH - 190, 24)
    return picture
