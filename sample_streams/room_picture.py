"""Draws the room of the sample clip: a still background, a robot that presents, a drifting camera, a moving light."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 1280, 720
MARGIN_PX = 40
"""How much larger than the frame the room is on every side, so that the camera can drift."""

_SUPERSAMPLE = 2
_BOOKS = ("#8c5a4a", "#4f6d7a", "#c0a062", "#5b7553", "#7a5c7e", "#3f5f8a")
_BODY, _HEAD, _SCREEN, _EYES = (66, 116, 126), (196, 204, 208), (34, 44, 58), (120, 230, 220)


def background() -> Picture:
    """The empty room: (HEIGHT + 2 margins) x (WIDTH + 2 margins) x 3, RGB."""
    size = (WIDTH + 2 * MARGIN_PX, HEIGHT + 2 * MARGIN_PX)
    large = Image.new("RGB", (size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE), "#5f7480")
    draw = ImageDraw.Draw(large)
    _draw_walls(draw)
    _draw_shelf(draw)
    _draw_window(draw)
    return np.array(large.resize(size, Image.Resampling.LANCZOS))


def room_at(room: Picture, t_s: float) -> Picture:
    """The frame at `t_s` seconds, HEIGHT x WIDTH x 3 RGB: the presenter moves, the camera drifts, the light wanders."""
    world = room.copy()
    _draw_presenter(world, t_s)
    dx = MARGIN_PX + 24.0 * math.sin(2 * math.pi * t_s / 16)
    dy = MARGIN_PX + 10.0 * math.sin(2 * math.pi * t_s / 11)
    shift = np.array([[1.0, 0.0, -dx], [0.0, 1.0, -dy]])
    seen = cv2.warpAffine(world, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    lit: Picture = np.clip(seen * _light(t_s), 0, 255).astype(np.uint8)
    return lit


def _light(t_s: float) -> NDArray[np.float32]:
    """Brightness by column, 1 x WIDTH x 1: a soft glow that wanders from side to side."""
    centre = WIDTH * (0.5 + 0.4 * math.sin(2 * math.pi * t_s / 20))
    columns = np.arange(WIDTH, dtype=np.float32)
    glow: NDArray[np.float32] = (0.80 + 0.22 * np.exp(-(((columns - centre) / 420.0) ** 2))).astype(np.float32)
    return glow[None, :, None]


def _rect(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], fill: str) -> None:
    left, top, right, bottom = (edge * _SUPERSAMPLE for edge in box)
    draw.rectangle((left, top, right, bottom), fill=fill)


def _draw_walls(draw: ImageDraw.ImageDraw) -> None:
    _rect(draw, (0, 600, 1360, 800), "#4a4038")
    _rect(draw, (0, 586, 1360, 600), "#d8d4cc")
    _rect(draw, (880, 590, 1300, 620), "#6b5a48")
    _rect(draw, (930, 620, 950, 800), "#4c4034")
    _rect(draw, (1230, 620, 1250, 800), "#4c4034")
    _rect(draw, (1060, 470, 1068, 590), "#2e2e34")


def _draw_shelf(draw: ImageDraw.ImageDraw) -> None:
    _rect(draw, (90, 150, 400, 600), "#3b322b")
    for row in range(4):
        top = 165 + row * 108
        _rect(draw, (102, top, 388, top + 96), "#54483c")
        left = 108
        for book in range(8 - row % 2):
            thick, high = 22 + (book * 7 + row * 5) % 14, 66 + (book * 13 + row * 11) % 26
            _rect(draw, (left, top + 96 - high, left + thick, top + 96), _BOOKS[(book + row * 2) % len(_BOOKS)])
            left += thick + 3


def _draw_window(draw: ImageDraw.ImageDraw) -> None:
    _rect(draw, (950, 110, 1270, 400), "#e6e2da")
    _rect(draw, (964, 124, 1256, 386), "#26364f")
    for left, top in ((1000, 300), (1050, 260), (1110, 320), (1160, 280), (1210, 310)):
        _rect(draw, (left, top, left + 40, 386), "#1a2435")
        _rect(draw, (left + 10, top + 14, left + 18, top + 24), "#d9b968")
    _rect(draw, (1106, 110, 1114, 400), "#e6e2da")


def _draw_presenter(world: Picture, t_s: float) -> None:
    bob = round(6 * math.sin(2 * math.pi * t_s / 3))
    wave = math.sin(2 * math.pi * t_s / 2)
    cv2.rectangle(world, (560, 470 + bob), (800, 800), _BODY, -1, cv2.LINE_AA)
    for side in (-1, 1):
        shoulder = (680 + side * 118, 510 + bob)
        hand = (680 + side * 205, round(600 + bob - 40 * wave * side))
        cv2.line(world, shoulder, hand, _BODY, 44, cv2.LINE_AA)
        cv2.circle(world, hand, 30, _HEAD, -1, cv2.LINE_AA)
    cv2.rectangle(world, (655, 420 + bob), (705, 480 + bob), _SCREEN, -1, cv2.LINE_AA)
    cv2.rectangle(world, (575, 250 + bob), (785, 430 + bob), _HEAD, -1, cv2.LINE_AA)
    cv2.rectangle(world, (597, 272 + bob), (763, 408 + bob), _SCREEN, -1, cv2.LINE_AA)
    cv2.line(world, (680, 250 + bob), (680, 215 + bob), _HEAD, 8, cv2.LINE_AA)
    cv2.circle(world, (680, 208 + bob), 12, (214, 96, 72), -1, cv2.LINE_AA)
    eye_height = 4 if t_s % 4 < 0.16 else 20
    for x in (645, 715):
        cv2.ellipse(world, (x, 325 + bob), (15, eye_height), 0, 0, 360, _EYES, -1, cv2.LINE_AA)
    mouth = 4 + round(8 * abs(math.sin(2 * math.pi * t_s * 1.7)))
    cv2.ellipse(world, (680, 378 + bob), (32, mouth), 0, 0, 360, _EYES, -1, cv2.LINE_AA)
