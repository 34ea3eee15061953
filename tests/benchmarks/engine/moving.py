"""The moving mix: a camera that pans and zooms over photographs, under some six lines at a time, as viewers write."""

from __future__ import annotations

import math
import random
from pathlib import Path

import cv2
import numpy as np

from streammon.deliver.evidence_font import Lettering
from streammon.entities import Image
from tests.benchmarks.engine.lettering import Strip, put, written
from tests.benchmarks.engine.photographs import photograph

WIDTH, HEIGHT = 1280, 720
_PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")
_LANES, _FIRST_LANE_PX, _LANE_PX, _LETTER_PX = 4, 40, 126, 32
_SAID = (
    "主播今天真好看", "前排围观", "哈哈哈哈笑死我了", "这波操作可以的", "Where is this?", "love this song",
    "晚上好啊大家", "新来的点个关注", "同城的有没有", "GG well played", "what camera do you use", "求歌名",
    "礼物走一波", "太强了吧", "hello from Brazil", "第一次来打个招呼", "弹幕护体", "this is so relaxing",
    "音乐声音小一点", "明天几点开播",
)  # fmt: skip
_COLOURS = ((255, 255, 255), (255, 255, 255), (255, 214, 90), (130, 220, 255), (255, 150, 170))


class MovingPicture:
    """One room's programme, the same for the same `number`. `photographs` holds what `photographs.fetch` put there."""

    def __init__(self, photographs: Path, number: int) -> None:
        chance = random.Random(number)  # noqa: S311 - not for secrets
        self._world = _world(photograph(photographs, _PHOTOGRAPHS[number % len(_PHOTOGRAPHS)]), number)
        self._phase = chance.uniform(0, 2 * math.pi)
        lettering = Lettering()
        self._lanes = [_Lane(lettering, lane, chance) for lane in range(_LANES)]

    def at(self, t_s: float) -> Image:
        """The frame at `t_s` seconds, HEIGHT x WIDTH x 3, RGB."""
        height, width = self._world.shape[:2]
        zoom = 1.0 + 0.25 * math.sin(2 * math.pi * t_s / 13 + self._phase)
        x = (width - WIDTH * 1.3) / 2 * math.sin(2 * math.pi * t_s / 17 + self._phase) + width / 2
        y = (height - HEIGHT * 1.3) / 2 * math.sin(2 * math.pi * t_s / 11) + height / 2
        seen = np.array([[zoom, 0, WIDTH / 2 - zoom * x], [0, zoom, HEIGHT / 2 - zoom * y]])
        border = cv2.BORDER_REFLECT_101
        picture = np.asarray(cv2.warpAffine(self._world, seen, (WIDTH, HEIGHT), borderMode=border), np.uint8)
        for lane in self._lanes:
            lane.draw(picture, t_s)
        return picture


class _Lane:
    """Lines that fly from right to left, one behind the other, at one speed."""

    def __init__(self, lettering: Lettering, number: int, chance: random.Random) -> None:
        self._top_px = _FIRST_LANE_PX + number * _LANE_PX
        self._px_per_s = chance.uniform(110, 220)
        self._strips: list[tuple[int, Strip]] = []
        at_px = chance.randrange(WIDTH)
        for text in chance.sample(_SAID, len(_SAID)):
            strip = written(lettering, text, _LETTER_PX, chance.choice(_COLOURS))
            self._strips.append((at_px, strip))
            at_px += strip.shape[1] + chance.randrange(250, 1100)
        self._length_px = at_px

    def draw(self, image: Image, t_s: float) -> None:
        """Draws the lines that are in the picture at `t_s`."""
        gone_px = round(t_s * self._px_per_s)
        for at_px, strip in self._strips:
            left_px = (at_px - gone_px + strip.shape[1]) % self._length_px - strip.shape[1]
            put(image, strip, left_px, self._top_px)


def _world(photo: Image, seed: int) -> Image:
    """The photograph as large as a camera could pan over it, with the grain that enlarging took from it."""
    side = 2 * HEIGHT / min(photo.shape[:2])
    large = cv2.resize(photo, None, fx=max(side, 1920 / photo.shape[1]), fy=side, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0, 9, large.shape[:2]).astype(np.float32)
    soft = cv2.GaussianBlur(grain, (0, 0), 1.0)[..., None] * 2
    world: Image = np.clip(large + soft, 0, 255).astype(np.uint8)
    return world
