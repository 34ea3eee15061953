"""How many pictures run together: few fixed sizes, as a provider that compiles per shape must not meet new ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")

# On a CPU a batch takes as long as its pictures one by one, and the first waits for the last; a GPU is idle with one.
_GAINFUL: Mapping[str, int] = {"cpu": 1, "cuda": 8, "tensorrt": 8}


def gainful_batch(provider: str) -> int:
    """The most pictures that a run on `provider` gains from."""
    return _GAINFUL.get(provider, 4)


def batches(items: Sequence[Item], sizes: Sequence[int]) -> Iterator[Sequence[Item]]:
    """`items` in order, in slices whose lengths are all in `sizes`, which fall and end in 1."""
    start = 0
    while start < len(items):
        size = next(size for size in sizes if size <= len(items) - start)
        yield items[start : start + size]
        start += size
