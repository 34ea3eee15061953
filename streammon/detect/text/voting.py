"""Makes one text of several readings of a line, of which some saw only a part of it. Pure.

Each reading is aligned with one of them by the fewest edits (Levenshtein), and every character is put to the vote.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

# The character at which the picture's edge cuts a line off is often itself cut, and read as another.
_AT_THE_EDGE = 0.25
# The model leaves out the end of a line more often than it adds to it.
_LEFT_OUT = 0.7
# Two parts of one line that share at least so many characters, of which at most a fifth may be misread.
_LEAST_SHARED, _SHARED_ALIKE = 3, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read once, how surely (0..1), and whether the line went on outside of the picture."""

    text: str
    score: float
    cut_left: bool = False
    cut_right: bool = False

    @property
    def cut(self) -> bool:
        return self.cut_left or self.cut_right


def folded(text: str) -> str:
    """What two readings are compared by: NFKC, without white space."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def alike(one: str, other: str, *, part: bool) -> float:
    """How alike two texts are, 0..1; with `part`, one may be a part of the other, or both of a longer line."""
    one, other = folded(one), folded(other)
    if not one or not other:
        return 0.0
    whole = Levenshtein.normalized_similarity(one, other)
    if not part:
        return whole
    within = fuzz.partial_ratio(one, other) / 100
    return max(whole, within, 1.0 if _continued(one, other) or _continued(other, one) else 0.0)


def voted(readings: Sequence[Reading]) -> str:
    """The line that the readings make together; "" without any.

    Never longer than all of them together, and where all that saw the whole line agree, it is what they say.
    """
    if not readings:
        return ""
    pivot = _pivot(readings)
    votes = [defaultdict[str, float](float) for _ in range(2 * len(pivot) + 1)]
    # A tie is the pivot's: what it says is counted first. So too the order in which they were read does not matter.
    for reading in sorted(readings, key=lambda one: (one.text != pivot, -one.score, one.text, one.cut)):
        _vote(pivot, reading, votes)
    return "".join(max(slot, key=lambda said: slot[said]) for slot in votes if slot)


def _pivot(readings: Sequence[Reading]) -> str:
    """What the others are aligned with: of whole readings the one most like the others, else parts put together."""
    whole = [reading for reading in readings if not reading.cut]
    if whole:
        return max(whole, key=lambda one: (_support(one, readings), one.score, len(one.text), one.text)).text
    text = ""
    # From the beginning of the line to its end: those not cut on the left come first.
    for reading in sorted(readings, key=lambda one: (one.cut_left, not one.cut_right, -one.score, one.text)):
        text = _together(text, reading.text)
    return text


def _support(one: Reading, readings: Sequence[Reading]) -> float:
    return sum(alike(one.text, other.text, part=other.cut) * other.score for other in readings)


def _together(text: str, more: str) -> str:
    """`more` appended where it goes on from `text`; `text` or `more` alone where one holds the other or none fits."""
    if not text or text in more:
        return more
    if more in text:
        return text
    found = _continued(text, more)
    return found or max(text, more, key=len)


def _continued(text: str, more: str) -> str:
    """The line of which `text` is the beginning and `more` the rest, "" where they do not share enough.

    The characters where they are cut off may be misread, and are left out where that lets them share more.
    """
    best, line = 0, ""
    for first, second in ((text, more), (text[:-1], more), (text, more[1:]), (text[:-1], more[1:])):
        shared = _shared(first, second)
        if shared > best:
            # The half before belongs to the first, the half behind to the second: each is surest away from its edge.
            half = shared // 2
            best, line = shared, first[: len(first) - half] + second[shared - half :]
    return line


def _shared(text: str, more: str) -> int:
    """How many characters at the end of `text` are the beginning of `more`, the most that are alike enough; else 0."""
    for count in range(min(len(text), len(more)), _LEAST_SHARED - 1, -1):
        if Levenshtein.normalized_similarity(text[-count:], more[:count]) >= _SHARED_ALIKE:
            return count
    return 0


def _vote(pivot: str, reading: Reading, votes: Sequence[dict[str, float]]) -> None:
    """Adds to `votes`: slot 2i+1 is the pivot's character i, slot 2i what stands before it."""
    text, weight = reading.text, reading.score**2 * (0.5 if reading.cut else 1.0)

    def weight_of(position: int) -> float:
        at_edge = (reading.cut_left and position == 0) or (reading.cut_right and position == len(text) - 1)
        return weight * _AT_THE_EDGE if at_edge else weight

    start, end = _seen_of(pivot, reading)
    inserted = set()
    for code in Levenshtein.opcodes(pivot[start:end], text):
        at = start + code.src_start
        if code.tag == "insert":
            inserted.add(at)
            votes[2 * at][text[code.dest_start : code.dest_end]] += weight_of(code.dest_end - 1)
        for step in range(code.src_end - code.src_start):
            if code.tag == "delete":
                outer = code.src_start == 0 or code.src_end == end - start
                votes[2 * (at + step) + 1][""] += weight * (_LEFT_OUT if outer else 1.0)
            else:
                position = code.dest_start + step
                votes[2 * (at + step) + 1][text[position]] += weight_of(position)
    for gap in range(start + reading.cut_left, end + (not reading.cut_right)):
        if gap not in inserted:
            votes[2 * gap][""] += weight * (_LEFT_OUT if gap in (0, len(pivot)) else 1.0)


def _seen_of(pivot: str, reading: Reading) -> tuple[int, int]:
    """From which to before which of the pivot's characters a reading could see it."""
    if not reading.cut:
        return 0, len(pivot)
    aligned = fuzz.partial_ratio_alignment(pivot, reading.text) if len(reading.text) < len(pivot) else None
    start, end = (aligned.src_start, aligned.src_end) if aligned is not None else (0, len(pivot))
    return (start if reading.cut_left else 0), (end if reading.cut_right else len(pivot))
