"""Cuts work into batches of few fixed sizes: a provider that compiles per input shape must not meet new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def batches(items: Sequence[Item], sizes: Sequence[int]) -> Iterator[Sequence[Item]]:
    """`items` in order, in slices whose lengths are all in `sizes`, which fall and end in 1."""
    start = 0
    while start < len(items):
        size = next(size for size in sizes if size <= len(items) - start)
        yield items[start : start + size]
        start += size
