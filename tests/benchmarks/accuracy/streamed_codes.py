"""QR codes as they are in live streams: small, see-through, blurred, crossed by barrage, through H.264."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray

from streammon.entities import Image

_CLIP = Path(__file__).resolve().parents[3] / "sample_streams" / "room.mp4"
_FPS, _QUIET_S, LOOKS = 25, 6, 3
_CELLS = [(x, y) for y in (20, 360) for x in (60, 480, 900)]
"""The left top corners at which codes may lie, 340 px or more apart in both directions."""
_BITRATES = (800_000, 1_500_000, 2_500_000, 4_000_000)
_EC = ("L", "M", "Q", "H")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A code in a clip: `side_px` with its margin of two modules, `alpha` 0..1, `blur_px` the Gaussian's sigma.

    Where it is `crossed`, a line of barrage flies over it again and again.
    """

    payload: str
    x: int
    y: int
    side_px: int
    module_px: float
    alpha: float
    blur_px: float
    crossed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """`looks`: what a sampler that looks every 2 s gets, RGB 720p. `codes` stay where they are all the time."""

    looks: tuple[Image, ...]
    codes: tuple[Planted, ...]
    bit_rate: int


def clips(count: int, seed: int) -> Iterator[Clip]:
    """The same clips for the same seed, one at a time; each has six codes and `LOOKS` looks."""
    background = _background()
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")  # noqa: S311 - a fixed set, not a secret
        planted = [_planted(chance, x, y) for x, y in _CELLS]
        bit_rate = chance.choice(_BITRATES)
        pictures = [_with_codes(picture, planted, n / _FPS) for n, picture in enumerate(background)]
        looks = _streamed(pictures, bit_rate)
        yield Clip(looks=tuple(looks), codes=tuple(one for one, _ in planted), bit_rate=bit_rate)


def quiet_frames() -> Sequence[Image]:
    """Frames of the sample room without a code, 2 s apart."""
    return _background()[:: 2 * _FPS]


Drawn = tuple[Planted, NDArray[np.float32]]
"""A code, and its picture: side x side, 0..1."""


def _planted(chance: random.Random, x: int, y: int) -> Drawn:
    name = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=chance.randint(4, 20)))
    payload = f"https://{name}.example/{chance.randint(0, 999)}"
    level, side = chance.choice(_EC), round(40 * 5 ** chance.random())
    made = zxingcpp.create_barcode(payload, zxingcpp.BarcodeFormat.QRCode, ec_level=level)
    modules = np.array(zxingcpp.write_barcode_to_image(made, scale=1, add_quiet_zones=False))
    modules = np.pad(modules, 2, constant_values=255)
    blur = chance.choice((0.0, 0.5, 1.0)) * min(1.5, side / len(modules) / 2)
    large = cv2.resize(modules, None, fx=16, fy=16, interpolation=cv2.INTER_NEAREST)
    drawn: NDArray[Any] = cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA) / 255
    if blur > 0:
        drawn = cv2.GaussianBlur(drawn, (0, 0), blur)
    code = Planted(
        payload=payload, x=x, y=y, side_px=side, module_px=side / len(modules), alpha=chance.uniform(0.6, 1.0),
        blur_px=blur, crossed=chance.random() < 0.3,
    )  # fmt: skip
    return code, drawn.astype(np.float32)


def _with_codes(picture: Image, drawn: Sequence[Drawn], at_s: float) -> Image:
    whole = picture.copy()
    for code, modules in drawn:
        part = whole[code.y : code.y + code.side_px, code.x : code.x + code.side_px]
        part[:] = ((1 - code.alpha) * part + 255 * code.alpha * modules[..., None]).round().astype(np.uint8)
        if code.crossed:
            # 210 px/s over 330 px: at looks 2 s apart the letters stand elsewhere.
            start = code.x + 200 - round(at_s * 210 + 7 * code.side_px) % 330
            place, size = (start, code.y + code.side_px // 2 + 8), 24 / 22
            cv2.putText(whole, "666 so nice", place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 3, cv2.LINE_AA)
    return whole


def _background() -> list[Image]:
    with av.open(str(_CLIP)) as container:
        frames = container.decode(video=0)
        return [np.asarray(next(frames).to_ndarray(format="rgb24")) for _ in range(_FPS * _QUIET_S)]


def _streamed(pictures: Sequence[Image], bit_rate: int) -> list[Image]:
    """The pictures 2 s apart, after a live encoder's H.264 (2 s GOP, no B frames) and back."""
    file = io.BytesIO()
    with av.open(file, "w", format="flv") as container:
        stream = container.add_stream(
            "libx264", rate=_FPS, options={"preset": "veryfast", "tune": "zerolatency", "g": str(2 * _FPS)}
        )
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.bit_rate, stream.time_base = "yuv420p", bit_rate, Fraction(1, _FPS)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as made:
        decoded = enumerate(made.decode(video=0))
        # In the middle of each GOP: neither its best picture nor its worst.
        return [np.asarray(f.to_ndarray(format="rgb24")) for n, f in decoded if n % (2 * _FPS) == _FPS]
