"""What a written character amounts to when spellings are compared. Pure; its tables are read at first use."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from streammon.judge.keywords.tables import look_alikes, pinyin, simplified

DIGITS_FOR = {
    "0": "o",
    "1": "li",
    "2": "z",
    "3": "e",
    "4": "a",
    "5": "s",
    "6": "bg",
    "7": "t",
    "8": "b",
    "9": "gq",
    "@": "a",
    "$": "s",
    "!": "il",
    "|": "il",
}
"""The Latin letters that a digit or a sign is written for."""

# Characters that may stand for each other have one key, so that one search finds them all.
_KEYS = {"0": "o", "1": "l", "i": "l", "2": "z", "3": "e", "4": "a", "5": "s", "6": "g", "b": "g", "7": "t"}
_KEYS |= {"8": "g", "9": "g", "q": "g", "@": "a", "$": "s", "!": "l", "|": "l"}

# Letters in a shape of their own that no normalisation form undoes: small capitals, letters in black squares, flags.
_SHAPED = re.compile(
    r"(?:LATIN (?:SMALL|CAPITAL) LETTER ([A-Z]) WITH\b.*|LATIN LETTER SMALL CAPITAL ([A-Z])"
    r"|(?:NEGATIVE CIRCLED|NEGATIVE SQUARED|CROSSED NEGATIVE SQUARED) LATIN CAPITAL LETTER ([A-Z])"
    r"|REGIONAL INDICATOR SYMBOL LETTER ([A-Z]))"
)
_SPACED_SCRIPTS = ("LATIN ", "CYRILLIC ", "GREEK ", "ARMENIAN ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyph:
    """One character that a reader sees.

    `plain` is its NFKC form in lower case, `simple` that in simplified Chinese, `look` the Latin letter or digit that
    it looks like (else `simple`), `key` one character that all have in common which may stand for each other. `sound`
    is its toneless pinyin (ü as v), or the letter itself where it is Latin, else empty. `spaced`: its script has spaces
    between words. `marked`: it is a Latin letter with an accent, in a listed word another than without.
    """

    plain: str
    simple: str
    look: str
    key: str
    sound: str
    han: bool
    spaced: bool
    marked: bool


@lru_cache(maxsize=65_536)
def glyphs(written: str) -> tuple[Glyph, ...]:
    """The glyphs of one written character with the marks on it; none where it is a space, a sign or nothing to see.

    `ﬁ` is two, `㈱` is the one between its brackets.
    """
    normal = unicodedata.normalize("NFKC", written)
    found: list[Glyph] = []
    index = 0
    while index < len(normal):
        end = index + 1
        while end < len(normal) and unicodedata.category(normal[end])[0] == "M":
            end += 1
        found += _glyphs(normal[index], "".join(filter(_is_seen, normal[index + 1 : end])))
        index = end
    return tuple(found)


@lru_cache(maxsize=len(DIGITS_FOR))
def sign(written: str) -> Glyph:
    """The glyph of a sign that stands for a letter, such as `@`."""
    return _glyph(written, written, "")


def stands_for(seen: str, letter: str) -> bool:
    """Whether a digit or sign is written for the letter."""
    return letter in DIGITS_FOR.get(seen, "")


def plain_text(text: str) -> str:
    """The text in NFKC and lower case, without white space and what is not seen: what is the same word at any rate."""
    while (folded := _folded(text)) != text:  # what was left out may have stood between characters that now combine
        text = folded
    return text


def _folded(text: str) -> str:
    normal = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in normal if not c.isspace() and unicodedata.category(c) != "Cf")


def _is_seen(mark: str) -> bool:
    """Whether a mark changes what is read: the selectors of emoji and variants and the frames of keys do not."""
    return unicodedata.category(mark) != "Me" and not unicodedata.name(mark, "").startswith("VARIATION SELECTOR")


def _glyphs(base: str, marks: str) -> list[Glyph]:
    kind = unicodedata.category(base)[0]
    if kind == "M":
        return [_glyph(base, base, marks)] if _is_seen(base) else []
    if kind not in "LN" and _SHAPED.fullmatch(unicodedata.name(base, "")) is None:
        return []
    folded = unicodedata.normalize("NFKC", base.casefold())
    letters = [c for c in folded if unicodedata.category(c)[0] != "M"] or [folded]
    extra = "".join(c for c in folded if unicodedata.category(c)[0] == "M") if len(folded) > 1 else ""
    made = [_glyph(base if len(letters) == 1 else letter, letter, "") for letter in letters[:-1]]
    return [*made, _glyph(base if len(letters) == 1 else letters[-1], letters[-1], extra + marks)]


def _glyph(base: str, folded: str, marks: str) -> Glyph:
    simple = simplified().get(folded, folded)
    look = _look(base, folded, simple)
    han = unicodedata.name(folded[0], "").startswith("CJK")
    stripped = marks == "" or han or look.isascii() or _is_spaced(folded)
    return Glyph(
        plain=folded + marks,
        simple=simple + marks,
        look=look if stripped else look + marks,
        key=_KEYS.get(look, look)[0],
        sound=pinyin(simple) if han else look if look.isascii() and look.isalpha() else "",
        han=han,
        spaced=look.isascii() or _is_spaced(folded),
        marked=folded != look and unicodedata.normalize("NFD", folded)[0] == look,
    )


def _is_spaced(letter: str) -> bool:
    return unicodedata.name(letter[0], "").startswith(_SPACED_SCRIPTS)


def _look(base: str, folded: str, simple: str) -> str:
    """The Latin letter or digit that a character looks like, be it that its upper case does; else `simple`."""
    if folded.isascii():
        return folded
    letter = unicodedata.normalize("NFKD", folded)[0]
    if letter.isascii() and letter.isalnum():
        return letter
    shaped = _SHAPED.fullmatch(unicodedata.name(base, ""))
    if shaped is not None:
        return next(group for group in shaped.groups() if group).lower()
    return next((look_alikes()[c] for c in (base, folded, folded.upper()) if c in look_alikes()), simple)
