"""Reads keyword lists: one entry a line, what else is said of it after tabs, and what a list may not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from streammon.errors import ConfigError, Problem
from streammon.judge.keywords.glyphs import plain_text
from streammon.judge.keywords.patterns import MAX_PATTERNS, pattern_fault
from streammon.taxonomy import load_taxonomy

MAX_LIST_BYTES = 64 * 1024 * 1024
MAX_WORDS = 250_000
"""Of one list: with a million the index would take half a minute to build, and most of a gigabyte."""
MAX_WORD = 64
# With more faults than this it is another kind of file, and nobody reads them all.
_MAX_FAULTS = 100
_PATTERN = "re:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a list says of one of its words; None where it says nothing, and the list's own label holds."""

    label: str | None = None
    severity: int | None = None


NOTHING = Said()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordList:
    """Listed words that mean one label, unless `said` has another of a word. `name` is the incident's subject.

    `patterns` are RE2 expressions; `said` has them as well, by their text.
    """

    name: str
    label: str
    words: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    said: Mapping[str, Said] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    word: str
    pattern: bool
    said: Said


def read_keyword_list(path: Path, label: str) -> KeywordList:
    """A list file: UTF-8; blank lines and lines that begin with `#` are passed over.

    A line is a word, or `re:` and an expression, and then, each after a tab, a label, a severity from 0 to 5 and a
    comment; empty ones are left out. Raises ConfigError naming every faulty line, up to a hundred of them.
    """
    problems: list[Problem] = []
    entries: dict[str, tuple[int, _Entry]] = {}
    patterns = 0
    for number, line in _lines(path):
        entry, reason = _entry(line)
        if entry is not None:
            key = entry.word if entry.pattern else plain_text(entry.word)
            first = entries.setdefault(f"{entry.pattern} {key}", (number, entry))
            patterns += entry.pattern
            if first[0] != number:
                reason = f"stands in line {first[0]} already"
            elif len(entries) > MAX_WORDS:
                raise _fault(path, number, f"has more than {MAX_WORDS:,} words; divide it, or leave some out")
            elif patterns > MAX_PATTERNS:
                raise _fault(path, number, f"has more than {MAX_PATTERNS} expressions; join some with `|`")
        if reason:
            shown = None if isinstance(line, bytes) else line.split("\t")[0].strip()
            problems.append(Problem(file=str(path), line=number, key="", reason=reason, value=shown))
            if len(problems) == _MAX_FAULTS:
                break
    if problems:
        raise ConfigError(problems)
    read = [entry for _, entry in entries.values()]
    return KeywordList(
        name=path.stem,
        label=label,
        words=tuple(entry.word for entry in read if not entry.pattern),
        patterns=tuple(entry.word for entry in read if entry.pattern),
        said={entry.word: entry.said for entry in read if entry.said != NOTHING},
    )


def _lines(path: Path) -> Iterator[tuple[int, str | bytes]]:
    """The numbered lines that say something; one that is not UTF-8 as its bytes."""
    try:
        size = path.stat().st_size
        if size > MAX_LIST_BYTES:
            raise _fault(path, 1, f"is larger than {MAX_LIST_BYTES // 2**20} MiB")
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise _fault(path, 1, f"cannot be read: {error.strerror}") from error
    for number, raw in enumerate(content.split(b"\n"), start=1):
        try:
            line = raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            yield number, raw
            continue
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _entry(line: str | bytes) -> tuple[_Entry | None, str]:
    """What a line says, or None and why it says nothing valid."""
    if isinstance(line, bytes):
        return None, "is not UTF-8 text"
    word, label, severity, *_ = (*(part.strip() for part in line.split("\t")), "", "")
    pattern = word.startswith(_PATTERN)
    word = word.removeprefix(_PATTERN).strip() if pattern else word
    reason = pattern_fault(word) if pattern else _word_fault(word)
    if label and label not in load_taxonomy().labels:
        reason = reason or f"{label!r} is no label of the taxonomy; `streammon labels` lists them"
    if severity and severity not in {"0", "1", "2", "3", "4", "5"}:
        reason = reason or f"a severity should be a number from 0 to 5, not {severity!r}"
    if reason:
        return None, reason
    said = Said(label=label or None, severity=int(severity) if severity else None)
    return _Entry(word=word, pattern=pattern, said=said), ""


def _word_fault(word: str) -> str:
    if not plain_text(word):
        return "has nothing to see"
    return "" if len(word) <= MAX_WORD else f"is longer than {MAX_WORD} characters"


def _fault(path: Path, line: int, reason: str) -> ConfigError:
    return ConfigError([Problem(file=str(path), line=line, key="", reason=reason)])
