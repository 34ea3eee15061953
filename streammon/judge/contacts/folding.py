"""Undoes what makes a character look like itself and compare as another, one character at a time."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from streammon.judge.keywords.line import is_seen

MAX_CHARS = 2000
"""Of a line; what comes after is not looked at."""
_DIGITS = str.maketrans(
    {
        character: str(digit)
        for digit, written in enumerate(
            ("〇零", "一壹幺弌", "二贰貳弍", "三叁參叄", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
        )
        for character in written
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A text in plain characters (NFKC). `spans` has, for each of them, where it came from in the text as seen."""

    text: str
    spans: tuple[tuple[int, int], ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters [start, end), at least one, are in the text as seen."""
        return self.spans[start][0], self.spans[end - 1][1]

    def in_digits(self) -> str:
        """The text with Chinese digits as 0 to 9, character by character."""
        return self.text if self.text.isascii() else self.text.translate(_DIGITS)


def fold(text: str) -> Folded:
    """The first `MAX_CHARS` characters of a text, folded."""
    seen = text[:MAX_CHARS]
    if seen.isascii():
        return Folded(text=seen, spans=tuple((at, at + 1) for at in range(len(seen))))
    plain: list[str] = []
    spans: list[tuple[int, int]] = []
    for at, character in enumerate(seen):
        folded = _plain(character)
        plain += folded
        spans += [(at, at + 1)] * len(folded)
    return Folded(text="".join(plain), spans=tuple(spans))


@lru_cache(maxsize=8192)
def _plain(character: str) -> str:
    """What a character stands for: several for one such as ㈠, nothing where nobody sees it by itself.

    A keycap is a digit, a variation selector and a mark.
    """
    return unicodedata.normalize("NFKC", character) if is_seen(character) else ""
