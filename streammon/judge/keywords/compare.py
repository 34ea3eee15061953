"""Says whether a stretch of a text is a listed word, and what it takes to see it. Pure.

The searches only propose stretches; what an evader may do to a word, and what a reader would not take for it, is here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from streammon.entities import MatchStep
from streammon.judge.keywords.gaps import divided, edges
from streammon.judge.keywords.glyphs import Glyph, stands_for
from streammon.judge.keywords.line import Line, Span
from streammon.judge.keywords.tables import alike

ORDER = {step: rank for rank, step in enumerate(MatchStep)}
# Words shorter than this, in glyphs, are not looked for with an error in them.
OCR_FROM = 4
# A letter of a Latin word that is lost or too many leaves less of it than a Chinese character does.
_LATIN_LOSS_FROM = 6
# Of a word this long any one character may be another.
_LATIN_ANY_FROM, _ANY_FROM = 7, 5
# Signs that are put in the place of a letter: `c*sino`.
_MASKS = frozenset("*＊#＃_×●○■□")

Window = tuple[int, int, int, int]
"""Glyphs [start, end) of a text beside glyphs [start, end) of a word."""


class Err(IntEnum):
    """Which other character may stand for one of a word: none, one that looks alike, or any."""

    NONE = 0
    ALIKE = 1
    ANY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A listed word in a text: [start, end) in characters of it, and the steps that it takes."""

    span: Span
    steps: frozenset[MatchStep]

    @property
    def by(self) -> MatchStep:
        """The most daring of the steps."""
        return max(self.steps, key=ORDER.__getitem__, default=MatchStep.EXACT)


Pairs = Sequence[tuple[int | None, int | None]]
"""Runs of a text beside runs of a word; None beside the one that is lost or too many."""


def compare(line: Line, word: Line, pairs: Pairs, *, changed: bool = False) -> Found | None:
    """The word, where the runs are it; `changed`: one of them may be another character.

    Of a run at an edge that is longer than the word's, the least is taken.
    """
    err = Err.NONE
    if changed:
        err = Err.ANY if _is_long(word, _LATIN_ANY_FROM, _ANY_FROM) else Err.ALIKE
    for windows in _choices(line, word, pairs):
        found = _judge(line, word, windows, err)
        if found is not None:
            return found
    return None


def _choices(line: Line, word: Line, pairs: Pairs) -> Iterator[list[Window]]:
    """The pairs as glyphs: first with no more than the word has of the runs at the edges, then with all of them."""
    whole = [(*_run(line, ours), *_run(word, theirs)) for ours, theirs in pairs]
    first, last = whole[0], whole[-1]
    if len(whole) == 1:
        needed = first[3] - first[2]
        yield from ([(at, at + needed, *first[2:])] for at in range(first[0], first[1] - needed + 1))
    else:
        head = (max(first[0], first[1] - (first[3] - first[2])), *first[1:])
        tail = (last[0], min(last[1], last[0] + last[3] - last[2]), *last[2:])
        tight = [head, *whole[1:-1], tail]
        yield tight
        if tight == whole:
            return
    yield whole


def _run(line: Line, index: int | None) -> Span:
    return (0, 0) if index is None else (line.runs[index], line.runs[index + 1])


def _judge(line: Line, word: Line, windows: list[Window], err: Err) -> Found | None:
    beside = _beside(windows)
    start, end = beside[0][0], beside[-1][0] + 1
    if line.is_joined(start) or line.is_joined(end):
        return None
    steps = _steps(line, word, windows, err)
    if steps is None or not _is_believable(line, word, start, end, steps):
        return None
    gaps, reach = divided(line, word, beside), edges(line, word, start, end)
    if gaps is None or reach is None:
        return None
    if gaps:
        steps.add(MatchStep.SEPARATORS)
    if len(word.glyphs) == 1 and steps - {MatchStep.SIMPLIFIED}:
        return None
    span = (line.spans[start][0] - reach[0], line.spans[end - 1][1] + reach[1])
    return Found(span=span, steps=frozenset(steps))


def _beside(windows: Sequence[Window]) -> list[tuple[int, int | None]]:
    """Each glyph of the text with the word's; None beside those that are too many."""
    return [
        (index, from_ + index - start if index - start < to - from_ else None)
        for start, end, from_, to in windows
        for index in range(start, end)
    ]


def _steps(line: Line, word: Line, windows: list[Window], err: Err) -> set[MatchStep] | None:
    """What it takes to see the word's runs in the text's; None where they are not the same."""
    steps: set[MatchStep] = set()
    extra = missing = 0
    masked = False
    for place, (start, end, from_, to) in enumerate(windows):
        ours, theirs = line.glyphs[start:end], word.glyphs[from_:to]
        if not ours:
            masked = not _MASKS.isdisjoint(line.gap(windows[place + 1][0]))
        run = _same_run(ours, theirs, err)
        if run is None:
            return None
        steps |= run
        missing += max(0, len(theirs) - len(ours))
        if len(ours) > len(theirs):
            steps.add(MatchStep.REPEATS if theirs else MatchStep.OCR)
            extra += _extra(ours, theirs)
    if extra == 1 or missing > 0:  # `beet` is no `bet`
        steps.add(MatchStep.OCR)
        return steps if missing < 2 and (masked or _is_long(word, _LATIN_LOSS_FROM, OCR_FROM)) else None
    return steps


def _extra(ours: Sequence[Glyph], theirs: Sequence[Glyph]) -> int:
    """How many letters too many; a Chinese character does not count where it is repeated, as that is no other word."""
    return len(ours) - len(theirs) if ours[0].spaced or not theirs else 0


def _same_run(ours: Sequence[Glyph], theirs: Sequence[Glyph], err: Err) -> set[MatchStep] | None:
    """The steps by which each glyph is the word's; a run that is longer must be of one letter, and no digit."""
    if not ours or not theirs:
        return set()
    if len(ours) != len(theirs) and (len({glyph.look for glyph in theirs}) > 1 or theirs[0].plain.isdigit()):
        return None
    steps: set[MatchStep] = set()
    for index, glyph in enumerate(ours):
        step = same(glyph, theirs[min(index, len(theirs) - 1)], err)
        if step is None:
            return None
        steps.add(step)
    return steps - {MatchStep.EXACT}


def same(seen: Glyph, meant: Glyph, err: Err) -> MatchStep | None:
    """The step by which a glyph of a text is one of a word; None where it is another."""
    if seen.plain == meant.plain:
        return MatchStep.EXACT
    if seen.simple == meant.simple:
        return MatchStep.SIMPLIFIED
    if not meant.marked:
        if seen.look == meant.look or {seen.look, meant.look} == {"i", "l"}:
            return MatchStep.HOMOGLYPHS
        if stands_for(seen.look, meant.look):
            return MatchStep.DIGITS
    if err is Err.ANY or (err is Err.ALIKE and alike(seen.simple, meant.simple)):
        return MatchStep.OCR
    return None


def _is_long(word: Line, latin: int, other: int) -> bool:
    """Whether the word has so many glyphs: `latin` where all of them are of a script with spaces."""
    return len(word.glyphs) >= (latin if all(glyph.spaced for glyph in word.glyphs) else other)


def _is_believable(line: Line, word: Line, start: int, end: int, steps: set[MatchStep]) -> bool:
    """Whether letters are in the majority where digits stand for some: prices and years are no words."""
    if MatchStep.DIGITS not in steps:
        return True
    written = sum(glyph.plain in "0123456789@$!|" for glyph in line.glyphs[start:end])
    letters = end - start - written
    meant = sum(glyph.plain.isdigit() for glyph in word.glyphs)
    return 2 * letters >= written - meant if len(word.glyphs) >= OCR_FROM else letters > written - meant
