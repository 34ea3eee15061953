"""Searches a line for words however they are written: one pass for all of them. Pure, after it was built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ahocorasick_rs import AhoCorasick, MatchKind

from streammon.judge.keywords.compare import Found, compare
from streammon.judge.keywords.line import Line, read_word


class WrittenSearch:
    """The words by their keys: what may stand for each other has the same, and runs count once."""

    def __init__(self, words: Sequence[str], keys: Sequence[str]) -> None:
        """`keys` are the words', in their order."""
        self._words = words
        self._search = AhoCorasick(keys, matchkind=MatchKind.Standard)

    def find(self, line: Line) -> Iterator[tuple[int, Found]]:
        """The number of each word in the line, and where."""
        for number, start, end in self._search.find_matches_as_indexes(line.keys, overlapping=True):
            word = read_word(self._words[number])
            found = compare(line, word, [(start + run, run) for run in range(end - start)])
            if found is not None:
                yield number, found
