"""Finds listed words in lines of text.

Text and words are folded alike, one written character at a time (NFKC, then case), so that full-width, decomposed and
upper-case spellings match while a hit's span still points into the text as it was read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ahocorasick_rs import AhoCorasick, MatchKind

from streammon.entities import KeywordHit
from streammon.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordList:
    """Listed words that mean one label. `name` is the incident's subject."""

    name: str
    label: str
    words: tuple[str, ...]


def read_keyword_list(path: Path, label: str) -> KeywordList:
    """One word a line, UTF-8; blank lines and lines that begin with `#` are passed over.

    Raises ConfigError naming the line of every word that is twice in the file or folds to nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise _fault(path, 1, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _fault(path, 1, "is not UTF-8 text") from error
    seen: dict[str, int] = {}
    problems: list[Problem] = []
    words: list[str] = []
    for number, line in enumerate(lines, start=1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        folded = fold(word)[0]
        if not folded:
            problems.append(Problem(file=str(path), line=number, key="", reason="has nothing to see", value=word))
        elif folded in seen:
            reason = f"stands in line {seen[folded]} already"
            problems.append(Problem(file=str(path), line=number, key="", reason=reason, value=word))
        seen.setdefault(folded, number)
        words.append(word)
    if problems:
        raise ConfigError(problems)
    return KeywordList(name=path.stem, label=label, words=tuple(words))


def _fault(path: Path, line: int, reason: str) -> ConfigError:
    return ConfigError([Problem(file=str(path), line=line, key="", reason=reason)])


Span = tuple[int, int]
"""[start, end) in characters of a text."""


def fold(text: str) -> tuple[str, list[Span]]:
    """The folded text, and for each of its characters the span of `text` that it came from.

    White space is left out, since text recognition loses it and evaders add it, and so are characters that only format.
    """
    folded: list[str] = []
    origins: list[Span] = []
    for start, end in _written_characters(text):
        plain = [c for c in unicodedata.normalize("NFKC", text[start:end]).casefold() if not _unseen(c)]
        folded += plain
        origins += [(start, end)] * len(plain)
    return "".join(folded), origins


def _written_characters(text: str) -> Iterator[Span]:
    """The spans of the characters as a reader counts them: a letter with the marks that combine with it."""
    start = 0
    for index in range(1, len(text)):
        # Half-width kana's voicing marks combine only once they are normalised.
        if not unicodedata.combining(unicodedata.normalize("NFKC", text[index])[0]):
            yield start, index
            start = index
    if text:
        yield start, len(text)


def _unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A listed word in a text: which list, and where."""

    keywords: KeywordList
    hit: KeywordHit


class KeywordMatcher:
    """All of a policy's lists, searched in one pass over the text."""

    def __init__(self, lists: Sequence[KeywordList]) -> None:
        self._entries = [(keywords, word) for keywords in lists for word in keywords.words]
        patterns = [fold(word)[0] for _, word in self._entries]
        self._search = AhoCorasick(patterns, matchkind=MatchKind.Standard)

    def find(self, text: str) -> list[Match]:
        """Every listed word in `text`, in the order of where it ends."""
        folded, origins = fold(text)
        matches = []
        for index, start, end in self._search.find_matches_as_indexes(folded, overlapping=True):
            if _joined(folded, origins, start) or _joined(folded, origins, end):
                continue
            keywords, word = self._entries[index]
            span = (origins[start][0], origins[end - 1][1])
            matches.append(Match(keywords=keywords, hit=KeywordHit(word=word, list=keywords.name, span=span)))
        return matches


def _joined(folded: str, origins: Sequence[Span], at: int) -> bool:
    """Whether a Latin word goes on across `at`: `bet` is not in `better`. Scripts without spaces have no such rule."""
    if not 0 < at < len(folded):
        return False
    apart = origins[at - 1][1] < origins[at][0]
    return not apart and _latin(folded[at - 1]) and _latin(folded[at])


def _latin(character: str) -> bool:
    letter = unicodedata.normalize("NFKD", character)[0]
    return letter.isascii() and letter.isalnum()
