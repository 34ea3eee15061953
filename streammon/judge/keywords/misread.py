"""Searches a line for words of which text recognition, or an evader, got one character wrong. Pure, after it was built.

With one error in a word, all but one of its first six keys are still there in their order. So an index of those finds
the few words that are worth a close look: by a number made of them, which may be another's as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.judge.keywords.compare import OCR_FROM, Found, Pairs, compare
from streammon.judge.keywords.line import Line, read_word

Numbers = NDArray[np.uint64]

_SIZES = (OCR_FROM, 5, 6)
"""How many keys of a word are indexed: as many as it has, up to six."""
_LEFT_OUT = tuple((size, left_out) for size in _SIZES for left_out in range(size))
_PLACES = np.array(
    [[*(i for i in range(size) if i != out), *([0] * (_SIZES[-1] - size))] for size, out in _LEFT_OUT], dtype=np.int64
)
_ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
_FACTORS = np.array([[*_ODD[: size - 1], *([0] * (_SIZES[-1] - size))] for size, _ in _LEFT_OUT], dtype=np.uint64)
_SALTS = np.array([size * 0xE7037ED1A0B428DB % 2**64 for size, _ in _LEFT_OUT], dtype=np.uint64)

# Letters that are read as two. `vv` for w is a run of one key.
_SPLIT = {"m": "rn", "d": "cl"}


class MisreadSearch:
    """The words of four keys and more, by what is left of their beginning."""

    def __init__(self, words: Sequence[str], keys: Sequence[str]) -> None:
        """`keys` are the words', in their order."""
        self._words, self._keys = words, keys
        parts, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        for size in _SIZES:
            mine = [n for n, key in enumerate(keys) if min(len(key), _SIZES[-1]) == size]
            begins = _points("".join(keys[n][:size].ljust(_SIZES[-1], "\0") for n in mine)).reshape(-1, _SIZES[-1])
            rows = [row for row, (of, _) in enumerate(_LEFT_OUT) if of == size]
            parts.append(_numbers(begins, rows).ravel())
            owners.append(np.repeat(np.array(mine, dtype=np.int64), len(rows)))
        index = np.concatenate(parts)
        order = np.argsort(index, kind="stable")
        self._index, self._owners = index[order], np.concatenate(owners)[order]
        # Most numbers of a line are nobody's: a table of bits that are there says so at once.
        self._shift = np.uint64(64 - max(10, (16 * len(index)).bit_length()))
        self._seen = np.zeros(1 << int(np.uint64(64) - self._shift), dtype=np.bool_)
        self._seen[self._index >> self._shift] = True

    def find(self, line: Line) -> Iterator[tuple[int, Found]]:
        """The number of each word that is in the line with one error, and where."""
        for start, number in self._candidates(line):
            for pairs, changed in _edits(line.keys, start, self._keys[number]):
                found = compare(line, read_word(self._words[number]), pairs, changed=changed)
                if found is not None:
                    yield number, found

    def _candidates(self, line: Line) -> set[tuple[int, int]]:
        """At which of the line's keys which words may begin."""
        if len(line.keys) < OCR_FROM - 1 or len(self._index) == 0:
            return set()
        points = np.append(_points(line.keys), np.zeros(_SIZES[-1], np.uint64))
        windows = np.lib.stride_tricks.sliding_window_view(points, _SIZES[-1])[: len(line.keys)]
        numbers = _numbers(windows, range(len(_LEFT_OUT)))
        starts, rows = np.nonzero(self._seen[numbers >> self._shift])
        wanted = numbers[starts, rows]
        first = np.searchsorted(self._index, wanted, side="left")
        there = self._index[np.minimum(first, len(self._index) - 1)] == wanted
        starts, first, wanted = starts[there], first[there], wanted[there]
        last = np.searchsorted(self._index, wanted, side="right")
        found: set[tuple[int, int]] = set()
        for start, begin, end in zip(starts.tolist(), first.tolist(), last.tolist(), strict=True):
            if not line.is_joined(line.runs[start]):
                found.update((start, number) for number in self._owners[begin:end].tolist())
        return found


def _numbers(begins: Numbers, rows: Sequence[int]) -> Numbers:
    """For each beginning, of six keys, a number for each row of what may be left out: N x rows."""
    picked = begins[:, _PLACES[rows]]
    numbers: Numbers = (picked * _FACTORS[rows]).sum(axis=2, dtype=np.uint64) + _SALTS[rows]
    return numbers * np.uint64(_ODD[0])


def _points(text: str) -> Numbers:
    return np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype="<u4").astype(np.uint64)


def _edits(keys: str, start: int, word: str) -> Iterator[tuple[Pairs, bool]]:
    """The ways in which the word stands there with one run changed (True), or lost within it, or one more (False)."""
    size, same = len(word), 0
    while same < size and keys[start + same : start + same + 1] == word[same]:
        same += 1
    if same == size:
        return
    after = start + same
    before: list[tuple[int | None, int | None]] = [(start + run, run) for run in range(same)]
    if keys[after + 1 : start + size] == word[same + 1 :] and len(keys) > after:
        yield [*before, *((start + run, run) for run in range(same, size))], True
    if keys[after : after + 2] == _SPLIT.get(word[same]) and keys[after + 2 : start + size + 1] == word[same + 1 :]:
        rest = ((start + run + 1, run) for run in range(same + 1, size))
        yield [*before, (after, same), (after + 1, None), *rest], True
    if 0 < same < size - 1 and keys[after : start + size - 1] == word[same + 1 :]:
        yield [*before, (None, same), *((start + run - 1, run) for run in range(same + 1, size))], False
    if same > 0 and keys[after + 1 : start + size + 1] == word[same:]:
        yield [*before, (after, None), *((start + run + 1, run) for run in range(same, size))], False
