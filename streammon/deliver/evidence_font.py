"""Finds a font for what is written into pictures, one with Chinese, Japanese and Korean where there is one."""

from __future__ import annotations

import logging
import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from streammon.errors import EvidenceError

_log = logging.getLogger(__name__)

_SYSTEM = (
    (Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"), 2),
    (Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"), 0),
    (Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"), 0),
)
"""Where Debian's fonts-noto-cjk, fonts-wqy-microhei and fonts-droid-fallback put theirs; the face within the file."""
_PACKAGE, _PACKAGED, _SIMPLIFIED = "manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", 2
"""The Python package with Noto Sans CJK (OFL-1.1), its file, and the face for simplified Chinese."""
_REGULAR = 400
_NOT_A_CHARACTER = "\U0010ffff"
_SIZES_PX = (12, 16, 20, 24, 32, 40, 48, 64)

Font = ImageFont.FreeTypeFont


class Lettering:
    """A font that knows what it cannot write.

    `path` names the font; None takes a known one, at worst Pillow's own, which is Latin only: a warning says so. Raises
    EvidenceError where the file is no font.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._face = (path, 0) if path is not None else _known_font()
        self._sized = lru_cache(maxsize=len(_SIZES_PX))(self._load)
        self._has = lru_cache(maxsize=10_000)(self._written)
        if not self.writes("漢"):
            cure = "install fonts-noto-cjk, or name a font as evidence.font"
            _log.warning("pictures are annotated without Chinese, Japanese and Korean characters: %s", cure)

    def writes(self, character: str) -> bool:
        """Whether the font has the character."""
        return self._has(character)

    def shown(self, text: str) -> str:
        """The text as the font can write it: `?` for what it lacks, and nothing that steers the layout of a line."""
        composed = unicodedata.normalize("NFC", text)
        return "".join(c if c == " " or (c.isprintable() and self.writes(c)) else "?" for c in composed)

    def font(self, height_px: int) -> Font:
        """The font in a size that suits a picture of that height."""
        wanted_px = height_px / 40
        return self._sized(max((size for size in _SIZES_PX if size <= wanted_px), default=_SIZES_PX[0]))

    def _written(self, character: str) -> bool:
        font = self._sized(_SIZES_PX[2])
        mask, missing = font.getmask(character), font.getmask(_NOT_A_CHARACTER)
        return mask.size != missing.size or bytes(mask) != bytes(missing)

    def _load(self, size_px: int) -> Font:
        if self._path is None:
            built_in = ImageFont.load_default(size_px)
            if not isinstance(built_in, Font):
                raise EvidenceError("Pillow was built without FreeType: it cannot annotate pictures")
            return built_in
        try:
            font = ImageFont.truetype(self._path, size_px, index=self._face)
        except OSError as error:
            raise EvidenceError(f"font {self._path}: {error}: name one that can be read") from error
        if self._path.name == _PACKAGED:  # all weights in one file, the thinnest first
            font.set_variation_by_axes([_REGULAR])
        return font


def _known_font() -> tuple[Path | None, int]:
    for path, face in _SYSTEM:
        if path.is_file():
            return path, face
    package = find_spec(_PACKAGE)
    if package is not None and package.origin is not None:
        return Path(package.origin).with_name(_PACKAGED), _SIMPLIFIED
    return None, 0
