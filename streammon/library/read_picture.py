"""Reads a picture file of any kind into an RGB array, or says what is wrong with it. Any thread."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as Pictures
from PIL import UnidentifiedImageError

from streammon.entities import Image
from streammon.errors import PictureUnreadable

# Those that people have. Pillow reads dozens more, some by starting other programs.
_KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_ORIENTATION = 0x0112
# What undoes each value of EXIF's orientation (CIPA DC-008, 4.6.4); 1 is upright.
_UPRIGHT = {
    2: Pictures.Transpose.FLIP_LEFT_RIGHT,
    3: Pictures.Transpose.ROTATE_180,
    4: Pictures.Transpose.FLIP_TOP_BOTTOM,
    5: Pictures.Transpose.TRANSPOSE,
    6: Pictures.Transpose.ROTATE_270,
    7: Pictures.Transpose.TRANSVERSE,
    8: Pictures.Transpose.ROTATE_90,
}
# What Pillow's readers raise on damaged files.
_DAMAGED = (
    OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError,
    struct.error, zlib.error,
)  # fmt: skip
# Pillow's own limit, of 89 million pixels: above it warns, above twice as many it raises.
_TOO_LARGE = (Pictures.DecompressionBombError, Pictures.DecompressionBombWarning)


def read_picture(source: Path | bytes, *, max_pixels: int = 50_000_000) -> Image:
    """The picture as height x width x 3, uint8 RGB: upright, the first of an animation, what is transparent over white.

    Raises PictureUnreadable, which names the file, for what is none, is damaged, or has more than `max_pixels`.
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    if isinstance(source, Path) and not source.is_file():
        raise PictureUnreadable(f"{name}: there is no such file")
    try:
        with _opened(source) as opened:
            if opened.width * opened.height > max_pixels:
                size = f"{opened.width} x {opened.height} pixels"
                raise PictureUnreadable(f"{name}: has {size}, more than {max_pixels:,}; scale it down")
            upright = _UPRIGHT.get(opened.getexif().get(_ORIENTATION, 1))
            colours = _colours(opened, name)
            return np.array(colours if upright is None else colours.transpose(upright))
    except UnidentifiedImageError as error:
        raise PictureUnreadable(f"{name}: is no picture of a kind that is known; save it as JPEG or PNG") from error
    except _TOO_LARGE as error:
        raise PictureUnreadable(f"{name}: has more than {max_pixels:,} pixels; scale it down") from error
    except _DAMAGED as error:
        raise PictureUnreadable(f"{name}: is damaged ({type(error).__name__}); save it anew") from error


def _opened(source: Path | bytes) -> Pictures.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Pictures.DecompressionBombWarning)  # the error says it, and in our words
        return Pictures.open(source if isinstance(source, Path) else BytesIO(source), formats=_KINDS)


def _colours(opened: Pictures.Image, name: str) -> Pictures.Image:
    """The picture in RGB."""
    if opened.mode in {"I", "F"}:
        raise PictureUnreadable(f"{name}: has 32 bits per pixel that do not say what is white; save it with 8 or 16")
    if opened.mode.startswith("I;16"):
        return Pictures.fromarray((np.asarray(opened) >> 8).astype(np.uint8)).convert("RGB")
    if not opened.has_transparency_data:
        return opened.convert("RGB")
    over = opened.convert("RGBA")
    return Pictures.alpha_composite(Pictures.new("RGBA", over.size, "white"), over).convert("RGB")
