"""Finds listed words in lines of text, as people write them who do not want them found.

One stream of glyphs is read from a line, and three searches go over it: as it is written, as it sounds, and with one
error in it. Pure and without locks, once it is built: many threads may search. A line costs tens of microseconds.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ahocorasick_rs import AhoCorasick, MatchKind

from streammon.entities import KeywordHit, MatchStep
from streammon.judge.keywords.compare import ORDER, Found
from streammon.judge.keywords.line import Line, Span, read_line
from streammon.judge.keywords.lists import NOTHING, KeywordList
from streammon.judge.keywords.misread import MisreadSearch
from streammon.judge.keywords.patterns import PatternSearch
from streammon.judge.keywords.spoken import SpokenSearch, sound_of
from streammon.judge.keywords.tables import load
from streammon.judge.keywords.written import WrittenSearch

MAX_TEXT = 4096
"""Characters of a text that are searched: of a longer one the rest is not looked at."""

# Half of a pair of UTF-16, which a text of JSON may hold and UTF-8 cannot.
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A listed word in a text: which list, where, and what the list says of it. `severity` None: nothing."""

    keywords: KeywordList
    hit: KeywordHit
    label: str
    severity: int | None = None


class KeywordMatcher:
    """All of a policy's lists, searched together."""

    def __init__(
        self,
        lists: Sequence[KeywordList],
        allowed: Iterable[str] = (),
        off: Collection[MatchStep] = (),
    ) -> None:
        """`allowed` are harmless words: a hit that lies within one is none. `off` are the steps not to take.

        Takes about 25 microseconds a word, so a long list is for a thread that nobody waits for.
        """
        self._off = frozenset(off)
        self._allowed = frozenset(allowed)
        if lists:
            load()
        self._entries, self._signs, keys, sounds = _read(lists)
        words = [word for _, word in self._entries]
        self._written = WrittenSearch(words, keys)
        self._spoken = None if MatchStep.PINYIN in off else SpokenSearch(words, sounds)
        self._misread = None if MatchStep.OCR in off else MisreadSearch(words, keys)
        self._by_sign = AhoCorasick([word for _, word in self._signs], matchkind=MatchKind.Standard)
        self._patterns = [(keywords, pattern) for keywords in lists for pattern in keywords.patterns]
        self._by_pattern = PatternSearch([pattern for _, pattern in self._patterns])
        harmless = sorted(self._allowed)
        self._harmless = WrittenSearch(harmless, [read_line(word).keys for word in harmless])

    def find(self, text: str) -> list[Match]:
        """Every listed word in the first MAX_TEXT characters of `text`, in the order of where it ends."""
        line = read_line(_LONE.sub("\N{REPLACEMENT CHARACTER}", text[:MAX_TEXT]))
        matches = [*self._words(line), *self._others(line.text)]
        if matches and self._allowed:
            matches = list(_outside(matches, self._harmless_in(line)))
        return sorted(matches, key=lambda match: (match.hit.span[1], match.hit.span[0]))

    def _words(self, line: Line) -> Iterator[Match]:
        """Of the places that overlap and are one word, the one that took the least daring.

        What is one word of a list is not another one with an error.
        """
        by_word: dict[int, int] = defaultdict(int)
        by_list: dict[int, int] = defaultdict(int)
        places = ((n, place) for n, place in self._searched(line) if place.steps.isdisjoint(self._off))
        for number, place in sorted(places, key=lambda found: (ORDER[found[1].by], found[1].span, found[0])):
            keywords, word = self._entries[number]
            # One bit for each character of the text, so that very many places cost no more than their number.
            bits = _bits(place.span)
            if bits & (by_list[id(keywords)] if place.by is MatchStep.OCR else by_word[number]):
                continue
            by_word[number] |= bits
            by_list[id(keywords)] |= bits
            yield _match(keywords, word, place.span, place.by)

    def _searched(self, line: Line) -> Iterator[tuple[int, Found]]:
        yield from self._written.find(line)
        if self._spoken is not None:
            yield from self._spoken.find(line)
        if self._misread is not None:
            yield from self._misread.find(line)

    def _others(self, text: str) -> Iterator[Match]:
        """Words that are nothing but signs, and operators' expressions."""
        for number, start, end in self._by_sign.find_matches_as_indexes(text, overlapping=True):
            yield _match(*self._signs[number], (start, end), MatchStep.EXACT)
        for number, span in self._by_pattern.find(text):
            yield _match(*self._patterns[number], span, MatchStep.PATTERN)

    def _harmless_in(self, line: Line) -> list[Span]:
        """Where allowed words stand, as they are usually written."""
        usual = frozenset({MatchStep.SIMPLIFIED})
        return [found.span for _, found in self._harmless.find(line) if found.steps <= usual]


Entry = tuple[KeywordList, str]


def _read(lists: Iterable[KeywordList]) -> tuple[list[Entry], list[Entry], list[str], list[str]]:
    """The listed words; those that are nothing but signs; and what the first are searched by, as seen and as heard."""
    words: list[Entry] = []
    only_signs: list[Entry] = []
    keys: list[str] = []
    sounds: list[str] = []
    for keywords in lists:
        for word in keywords.words:
            line = read_line(word)
            if not line.glyphs:
                only_signs.append((keywords, word))
                continue
            words.append((keywords, word))
            keys.append(line.keys)
            sounds.append(sound_of(line))
    return words, only_signs, keys, sounds


def _match(keywords: KeywordList, word: str, span: Span, by: MatchStep) -> Match:
    said = keywords.said.get(word, NOTHING)
    return Match(
        keywords=keywords,
        hit=KeywordHit(word=word, list=keywords.name, span=span, by=by),
        label=said.label if said.label is not None else keywords.label,
        severity=said.severity,
    )


def _bits(span: Span) -> int:
    return ((1 << (span[1] - span[0])) - 1) << span[0]


def _outside(matches: Iterable[Match], harmless: Iterable[Span]) -> Iterator[Match]:
    """The matches that lie within none of the spans."""
    spans = sorted(harmless)
    starts = [start for start, _ in spans]
    reach = list(accumulate((end for _, end in spans), max, initial=0))
    for match in matches:
        start, end = match.hit.span
        if reach[bisect_right(starts, start)] < end:
            yield match
