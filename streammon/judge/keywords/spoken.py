"""Searches a line for Chinese words by sound: homophones, pinyin in letters, and mixtures. Pure, after it was built.

Word and line are written in toneless pinyin; a stretch counts where its characters are the word's syllables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from ahocorasick_rs import AhoCorasick, MatchKind

from streammon.entities import MatchStep
from streammon.judge.keywords.compare import Found
from streammon.judge.keywords.gaps import divided, edges
from streammon.judge.keywords.line import Line, read_word
from streammon.judge.keywords.tables import alike, same_tone

# A word of two syllables has too many homophones: one character may differ, if it looks alike and has the same tone.
_HOMOPHONES_FROM = 3
# Fewer letters are too common: `dubo` is enough, `ma` is not.
_LETTERS_FROM = 4

Beside = list[tuple[int, int | None]]


class SpokenSearch:
    """The words with Chinese characters, by their sounds."""

    def __init__(self, words: Sequence[str], sounds: Sequence[str]) -> None:
        """`sounds` are the words', in their order; an empty one is not looked for."""
        self._words = words
        self._numbers = [number for number, sound in enumerate(sounds) if sound]
        self._search = AhoCorasick([sounds[n] for n in self._numbers], matchkind=MatchKind.Standard)

    def find(self, line: Line) -> Iterator[tuple[int, Found]]:
        """The number of each word that is heard in the line, and where."""
        for place, start, end in self._search.find_matches_as_indexes(line.sounds, overlapping=True):
            number = self._numbers[place]
            found = _compare(line, read_word(self._words[number]), start, end)
            if found is not None:
                yield number, found


def sound_of(word: Line) -> str:
    """What the word is searched by; empty where it is not one to be found by its sound."""
    known = all(glyph.sound for glyph in word.glyphs)
    han = sum(glyph.han for glyph in word.glyphs)
    return word.sounds if known and (han > 1 or (han == 1 and len(word.glyphs) > 2)) else ""


def _compare(line: Line, word: Line, start: int, end: int) -> Found | None:
    beside = _aligned(line, word, start, end)
    if beside is None:
        return None
    first, last = beside[0][0], beside[-1][0]
    if line.is_joined(first) or line.is_joined(last + 1) or not _is_believable(line, word, beside):
        return None
    gaps, reach = _divided(line, word, beside), edges(line, word, first, last + 1)
    if gaps is None or reach is None:
        return None
    steps = {MatchStep.PINYIN, MatchStep.SEPARATORS} if gaps else {MatchStep.PINYIN}
    span = (line.spans[first][0] - reach[0], line.spans[last][1] + reach[1])
    return Found(span=span, steps=frozenset(steps))


def _aligned(line: Line, word: Line, start: int, end: int) -> Beside | None:
    """The glyphs of the line each with the word's whose sound it is, or is a letter of; None where they do not fit."""
    if _is_inside(line, start) or _is_inside(line, end):
        return None
    syllables = list(accumulate((len(glyph.sound) for glyph in word.glyphs), initial=start))
    beside: Beside = []
    theirs, at = 0, start
    while at < end:
        index = line.sounders[at]
        glyph = line.glyphs[index]
        while syllables[theirs + 1] <= at:
            theirs += 1
        here, there = (at, at + len(glyph.sound)), (syllables[theirs], syllables[theirs + 1])
        if here[1] > there[1] or (glyph.han and (here != there or not word.glyphs[theirs].han)):
            return None
        beside.append((index, theirs))
        at = here[1]
    return beside


def _is_inside(line: Line, at: int) -> bool:
    """Whether a place in the sounds is within one glyph's."""
    return 0 < at < len(line.sounds) and line.sounders[at - 1] == line.sounders[at]


def _is_believable(line: Line, word: Line, beside: Beside) -> bool:
    """Whether it is more than chance that it sounds so."""
    pairs = [(line.glyphs[ours], word.glyphs[theirs]) for ours, theirs in beside if theirs is not None]
    letters = sum(meant.han and not seen.han for seen, meant in pairs)
    others = [(seen.simple, meant.simple) for seen, meant in pairs if seen.han and seen.simple != meant.simple]
    if letters:
        return len(others) == 0 and (any(seen.han for seen, _ in pairs) or letters >= _LETTERS_FROM)
    if sum(meant.han for _, meant in pairs) < _HOMOPHONES_FROM:
        return len(others) == 1 and same_tone(*others[0]) and alike(*others[0])
    return 0 < len(others) < len(pairs)


def _divided(line: Line, word: Line, beside: Beside) -> bool | None:
    """As for any word, but that Latin syllables may have spaces between them, as pinyin is written."""
    gaps = False
    for (before, one), (index, other) in pairwise(beside):
        pair = divided(line, word, [(before, one), (index, other)])
        spaced = line.glyphs[before].spaced and line.glyphs[index].spaced
        if spaced and one != other and line.gap(index).isspace():
            continue
        if pair is None or (pair and one == other):
            return None
        gaps = gaps or pair
    return gaps
