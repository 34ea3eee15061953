"""Copies of a picture for people: one with what was seen drawn in, one blurred past knowing. Pure."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, UnidentifiedImageError

from streammon.deliver.evidence_font import Font, Lettering
from streammon.entities import Box
from streammon.errors import EvidenceError
from streammon.events import Hit

MAX_HITS = 30
_TEXT_CHARACTERS = 60
_FRAME, _PAPER, _INK = (255, 64, 32), (32, 32, 32), (255, 255, 255)
_BLURRED_SIDE = 24
"""The blurred copy has the detail of a picture with so many pixels on its longer side: no face can be told in it."""


def annotated(jpeg: bytes, hits: Sequence[Hit], lettering: Lettering, *, quality: int) -> bytes:
    """The picture with a box and a caption for each hit, as JPEG; at most `MAX_HITS` of them, the first ones.

    A caption holds the label, the score and the recognised text. Hits of the whole frame are listed at its top. Raises
    EvidenceError where `jpeg` is not a picture.
    """
    picture = _decoded(jpeg)
    draw = ImageDraw.Draw(picture)
    font = lettering.font(picture.height)
    top_px = 0.0
    for hit in hits[:MAX_HITS]:
        caption = _caption(hit, lettering)
        if hit.box is None:
            top_px += _write(draw, (0, top_px), caption, font)
        else:
            _draw_box(draw, hit.box, caption, font)
    return _encoded(picture, quality)


def blurred(jpeg: bytes, *, quality: int) -> bytes:
    """The picture without any detail, in its size, as JPEG. Raises EvidenceError where `jpeg` is not a picture."""
    picture = _decoded(jpeg)
    scale = _BLURRED_SIDE / max(picture.size)
    # Detail is thrown away, not smeared: a blur alone could be undone.
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    return _encoded(small.resize(picture.size, Image.Resampling.BICUBIC), quality)


def _draw_box(draw: ImageDraw.ImageDraw, box: Box, caption: str, font: Font) -> None:
    width, height = draw.im.size if draw.im is not None else (0, 0)
    left, right = sorted(_clamped(x * width, width - 1) for x in (box.x, box.x + box.w))
    top, bottom = sorted(_clamped(y * height, height - 1) for y in (box.y, box.y + box.h))
    draw.rectangle((left, top, right, bottom), outline=_FRAME, width=max(2, height // 300))
    above = top - font.size - 4
    _write(draw, (left, above if above >= 0 else bottom), caption, font)


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], caption: str, font: Font) -> float:
    """Writes one line on a dark ground, moved to lie within the picture. Returns its height in pixels."""
    width, height = draw.im.size if draw.im is not None else (0, 0)
    line_px, length_px = font.size + 4, draw.textlength(caption, font=font)
    x = max(0.0, min(at[0], width - length_px - 4))
    y = max(0.0, min(at[1], height - line_px))
    draw.rectangle((x, y, x + length_px + 4, y + line_px), fill=_PAPER)
    draw.text((x + 2, y + line_px / 2), caption, font=font, fill=_INK, anchor="lm")
    return line_px


def _caption(hit: Hit, lettering: Lettering) -> str:
    text = hit.text if hit.text is not None else hit.qr.payload if hit.qr is not None else None
    caption = f"{hit.label} {hit.confidence:.2f}"
    return caption if text is None else f"{caption}  {lettering.shown(text[:_TEXT_CHARACTERS])}"


def _clamped(value: float, most: float) -> float:
    return max(0.0, min(value, most))


def _decoded(jpeg: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise EvidenceError("the picture in the spool is no JPEG") from error


def _encoded(picture: Image.Image, quality: int) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return content.getvalue()
