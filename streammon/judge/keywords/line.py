"""A text as the searches see it: its glyphs, where each stands, and the strings that are searched. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from streammon.judge.keywords.glyphs import Glyph, glyphs, sign

Span = tuple[int, int]
"""[start, end) in characters of a text."""

# Signs between letters that stand for a letter; the last two also divide: `c!a!s!i!n!o`.
_SIGNS, _DIVIDING = frozenset("@$!|"), frozenset("!|")
# `@` and `$` may begin a word as a letter.
_FIRST = frozenset("@$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A text, its `glyphs`, and for each the span of `text` that it came from.

    `keys` has one character for each run of glyphs of one key; `runs[i]` is the first glyph of run i, and a last entry
    the number of glyphs. `sounds` are the glyphs' sounds in a row (a space for a glyph without one), `sounders[i]` the
    glyph of its i-th character.
    """

    text: str
    glyphs: tuple[Glyph, ...]
    spans: tuple[Span, ...]
    keys: str
    runs: tuple[int, ...]
    sounds: str
    sounders: tuple[int, ...]

    def gap(self, index: int) -> str:
        """What stands between glyph `index` and the one before it; at the ends what is before or after all."""
        start = self.spans[index - 1][1] if index > 0 else 0
        end = self.spans[index][0] if index < len(self.spans) else len(self.text)
        return self.text[start:end]

    def is_joined(self, index: int) -> bool:
        """Whether a word goes on across the edge before glyph `index`, in a script with spaces between words."""
        if not 0 < index < len(self.glyphs):
            return False
        before, after = self.glyphs[index - 1], self.glyphs[index]
        if not (before.spaced and after.spaced) or before.plain in _SIGNS or after.plain in _SIGNS:
            return False
        return not any(is_seen(c) for c in self.gap(index))


def is_seen(character: str) -> bool:
    """Whether a reader sees that something stands there, a space included. Soft hyphens and joiners are not seen."""
    return unicodedata.category(character) not in {"Cf", "Mn", "Me"}


def read_line(text: str) -> Line:
    """The text's glyphs. Takes time in proportion to its length."""
    seen: list[Glyph] = []
    spans: list[Span] = []
    for start, end in _written_characters(text):
        written = text[start:end]
        found = glyphs(written)
        if not found and written in _SIGNS and _is_letter_sign(text, start):
            found = (sign(written),)
        for glyph in found:
            seen.append(glyph)
            spans.append((start, end))
    keys, runs = _runs(seen)
    sounds = [glyph.sound or " " for glyph in seen]
    sounders = [index for index, sound in enumerate(sounds) for _ in sound]
    return Line(
        text=text,
        glyphs=tuple(seen),
        spans=tuple(spans),
        keys=keys,
        runs=runs,
        sounds="".join(sounds),
        sounders=tuple(sounders),
    )


@lru_cache(maxsize=8192)
def read_word(word: str) -> Line:
    """The same of a listed word, remembered: few of many are ever looked at closely."""
    return read_line(word)


def _runs(seen: list[Glyph]) -> tuple[str, tuple[int, ...]]:
    keys: list[str] = []
    runs: list[int] = []
    last = ""
    for index, glyph in enumerate(seen):
        if glyph.key != last:
            last = glyph.key
            keys.append(last)
            runs.append(index)
    return "".join(keys), (*runs, len(seen))


def _is_letter_sign(text: str, at: int) -> bool:
    """Whether the sign there is written for a letter: between two letters, and not between all of them."""
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not (_is_latin(after) or after in _FIRST) and not (_is_latin(before) and text[at] in _FIRST):
        return False
    if text[at] in _DIVIDING:
        return _is_latin(before) and text[at] not in (text[max(0, at - 2) : max(0, at - 1)], text[at + 2 : at + 3])
    return True


def _is_latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


@lru_cache(maxsize=65_536)
def _joins(character: str) -> bool:
    """Whether it is read as part of the character before it. Half-width kana's voicing marks are, once normalised."""
    return unicodedata.combining(unicodedata.normalize("NFKC", character)[0]) != 0


def _written_characters(text: str) -> Iterator[Span]:
    """The spans of the characters as a reader counts them: a letter with the marks that combine with it."""
    start = 0
    for index in range(1, len(text)):
        if not _joins(text[index]):
            yield start, index
            start = index
    if text:
        yield start, len(text)
