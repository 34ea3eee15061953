"""What may stand between the characters of a listed word without making it something else to a reader. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise

from streammon.judge.keywords.line import Line, is_seen

MAX_GAP = 4
"""Signs, spaces and emoji between two characters of a word; with more, nobody reads them as one."""

_SENTENCE = frozenset("。！？；，：,!?;:…\n")
# A Latin word spelled with spaces has at least three pieces, no longer than this: `ca si no`, but not `so on`.
_PIECES, _PIECE = 3, 2

Beside = Sequence[tuple[int, int | None]]
"""Glyphs of a text in a row, each with the word's that it is; None where the word has none there."""


def divided(line: Line, word: Line, beside: Beside) -> bool | None:
    """Whether the stretch has gaps that the word has not; None where they make it no longer the word.

    Of the gaps that the word itself has the signs must be there, and the spaces need not.
    """
    own_at, gaps = [beside[0][0]], dict[int, str]()
    for index, theirs in beside[1:]:
        gap = "".join(filter(is_seen, line.gap(index)))
        own = word.gap(theirs) if theirs else ""
        if len(gap) > MAX_GAP + len(own) or not _signs(gap).startswith(_signs(own)):
            return None
        if own:
            own_at.append(index)
        elif gap:
            gaps[index] = gap
    for start, end in pairwise([*own_at, beside[-1][0] + 1]):
        within = {index: gap for index, gap in gaps.items() if start < index < end}
        if within and not _reads_on(line, (start, end), within):
            return None
    return bool(gaps)


def _reads_on(line: Line, part: tuple[int, int], gaps: Mapping[int, str]) -> bool:
    """Whether a reader goes on across the gaps of a word's part, and does not see two words or sentences."""
    pieces = [end - start for start, end in pairwise([part[0], *gaps, part[1]])]
    spelled = max(pieces) == 1
    for index, gap in gaps.items():
        ends = not _SENTENCE.isdisjoint(gap)
        if not (line.glyphs[index - 1].spaced and line.glyphs[index].spaced):
            if ends and not (spelled and len(pieces) >= _PIECES):
                return False
        elif not spelled and (
            ends or (any(c.isspace() for c in gap) and (len(pieces) < _PIECES or max(pieces) > _PIECE))
        ):
            return False
    return True


def edges(line: Line, word: Line, start: int, end: int) -> tuple[int, int] | None:
    """How many characters before glyph `start` and from `end` on are signs that the word begins and ends with.

    None where they are not there.
    """
    before, after = line.gap(start), line.gap(end)
    leading = _reach(before[::-1], _signs(word.gap(0))[::-1])
    trailing = _reach(after, _signs(word.gap(len(word.glyphs))))
    return None if leading is None or trailing is None else (leading, trailing)


def _reach(gap: str, wanted: str) -> int | None:
    """The length of the gap's beginning that holds the signs."""
    seen = ""
    for length in range(len(gap) + 1):
        if seen.startswith(wanted):
            return length
        seen += _signs(gap[length : length + 1])
    return None


def _signs(gap: str) -> str:
    """The signs of a gap, without spaces, in NFKC."""
    return "".join(c for c in unicodedata.normalize("NFKC", gap) if is_seen(c) and not c.isspace())
