"""Searches a text for operators' regular expressions, by RE2: in time that is linear in the text, whatever they say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import re2

from streammon.judge.keywords.line import Span

MAX_PATTERN = 500
MAX_PATTERNS = 200
# Of one expression's automaton, in bytes; RE2 refuses those that would take more.
_MAX_MEMORY = 1 << 20
_MAX_HITS = 20


def pattern_fault(pattern: str) -> str:
    """Why an expression cannot be used; empty where it can."""
    if not pattern:
        return "has no expression after `re:`"
    if len(pattern) > MAX_PATTERN:
        return f"is an expression longer than {MAX_PATTERN} characters"
    try:
        compiled = _compile(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        return f"is no RE2 expression: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
    return "is an expression that matches nothing at all, so every text" if compiled.search("") else ""


class PatternSearch:
    """Some expressions, each of them valid. They see a text as it was read."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_compile(pattern) for pattern in patterns]

    def find(self, text: str) -> Iterator[tuple[int, Span]]:
        """The number of each expression that matches, and where: the first so many stretches of each."""
        for number, pattern in enumerate(self._patterns):
            for count, match in enumerate(pattern.finditer(text)):
                if count == _MAX_HITS:
                    break
                if match.end() > match.start():
                    yield number, match.span()


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options)  # type: ignore[no-untyped-call]
