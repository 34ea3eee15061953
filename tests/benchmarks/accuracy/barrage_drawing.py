"""Draws planned lines into pictures, and says how well each stands out from what is behind it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from streammon.deliver.evidence_font import Font, Lettering
from streammon.entities import Image
from tests.benchmarks.accuracy.barrage_plan import HEIGHT, WIDTH, Look, Written

_STROKE_PX = 2
# `Lettering` sizes its fonts by the picture's height.
_PICTURE_PER_FONT_PX = 40

Levels = NDArray[np.float64]
"""One colour, R G B, 0..255."""


class Drawing:
    """Writes with the CJK font that streammon annotates with. Raises EvidenceError where there is none."""

    def __init__(self) -> None:
        self._sprites: dict[int, NDArray[np.float32]] = {}

    def measure(self, text: str, look: Look) -> tuple[int, int]:
        """Width and height in pixels of the line, with its stroke."""
        left, top, right, bottom = _font(look.size_px).getbbox(text, stroke_width=_stroke_px(look))
        return round(right - left), round(bottom - top)

    def draw(self, picture: Image, line: Written, at_s: float) -> None:
        """Writes the line's part that is in `picture`, which is changed."""
        left, top = (round(edge) for edge in line.area(at_s)[:2])
        first, last = max(0, -left), min(line.width_px, WIDTH - left)
        if not line.shown(at_s) or first >= last:
            return
        sprite = self._sprite(line)[: HEIGHT - top, first:last]
        below = picture[top : top + sprite.shape[0], left + first : left + last]
        cover = sprite[..., 3:] * np.float32(line.look.alpha)
        below[:] = np.rint(below * (1 - cover) + sprite[..., :3] * cover).astype(np.uint8)

    def contrast(self, picture: Image, line: Written, at_s: float) -> float:
        """WCAG 2 contrast (1..21) of the glyphs' colour as it comes out against the stroke's, or the mean behind."""
        left, top, right, bottom = (round(edge) for edge in line.area(at_s))
        behind: Levels = picture[top:bottom, max(0, left) : right].reshape(-1, 3).mean(axis=0)
        glyphs = _blended(line.look.colour, behind, line.look.alpha)
        around = _blended(line.look.stroke, behind, line.look.alpha) if line.look.stroke is not None else behind
        lighter, darker = sorted((_luminance(glyphs), _luminance(around)), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)

    def _sprite(self, line: Written) -> NDArray[np.float32]:
        """Colour (0..255) and cover (0..1): height x width x 4."""
        if (known := self._sprites.get(id(line))) is not None:
            return known
        look, font, stroke_px = line.look, _font(line.look.size_px), _stroke_px(line.look)
        left, top, _, _ = font.getbbox(line.text, stroke_width=stroke_px)
        base = look.stroke if look.stroke is not None else look.colour
        canvas = Pillow.new("RGBA", (line.width_px, line.height_px), (*base, 0))
        ImageDraw.Draw(canvas).text(
            (-left, -top), line.text, font=font, fill=look.colour, stroke_width=stroke_px, stroke_fill=look.stroke
        )
        sprite = np.asarray(canvas, np.float32).copy()
        sprite[..., 3] /= 255
        self._sprites[id(line)] = sprite
        return sprite


@lru_cache(maxsize=1)
def _lettering() -> Lettering:
    return Lettering()


@lru_cache(maxsize=64)
def _font(size_px: int) -> Font:
    return _lettering().font(12 * _PICTURE_PER_FONT_PX).font_variant(size=size_px)


def _stroke_px(look: Look) -> int:
    return _STROKE_PX if look.stroke is not None else 0


def _blended(colour: tuple[int, int, int], behind: Levels, alpha: float) -> Levels:
    return np.asarray(colour, np.float64) * alpha + behind * (1 - alpha)


def _luminance(levels: Levels) -> float:
    """WCAG 2's relative luminance of an sRGB colour."""
    shares = levels / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
