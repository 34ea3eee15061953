"""Finds listed words in lines of text.

Text and words are folded alike, character by character (NFKC, then case), so that full-width and upper-case spellings
match while a hit's span still points into the text as it was read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
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
        lines = path.read_text(encoding="utf-8").splitlines()
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
        if folded in seen:
            reason = f"stands in line {seen[folded]} already"
            problems.append(Problem(file=str(path), line=number, key="", reason=reason, value=word))
        seen.setdefault(folded, number)
        words.append(word)
    if problems:
        raise ConfigError(problems)
    return KeywordList(name=path.stem, label=label, words=tuple(words))


def _fault(path: Path, line: int, reason: str) -> ConfigError:
    return ConfigError([Problem(file=str(path), line=line, key="", reason=reason)])


def fold(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the index in `text` that it came from.

    White space is left out: text recognition loses it, and evaders add it.
    """
    folded: list[str] = []
    origin: list[int] = []
    for index, character in enumerate(text):
        plain = "".join(unicodedata.normalize("NFKC", character).casefold().split())
        folded.append(plain)
        origin.extend([index] * len(plain))
    return "".join(folded), origin


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
        folded, origin = fold(text)
        matches = []
        for index, start, end in self._search.find_matches_as_indexes(folded, overlapping=True):
            span = (origin[start], origin[end - 1] + 1)
            if not _whole_word(text, *span):
                continue
            keywords, word = self._entries[index]
            matches.append(Match(keywords=keywords, hit=KeywordHit(word=word, list=keywords.name, span=span)))
        return matches


def _whole_word(text: str, start: int, end: int) -> bool:
    """Whether a Latin word stands alone: `bet` is not in `better`. Scripts without spaces have no such rule."""
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, at: int) -> bool:
    return 0 < at < len(text) and _latin(text[at - 1]) and _latin(text[at])


def _latin(character: str) -> bool:
    plain = unicodedata.normalize("NFKC", character)
    return plain.isascii() and plain.isalnum()
