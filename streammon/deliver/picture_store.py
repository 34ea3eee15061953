"""The contract between evidence and a place that keeps pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A picture that a store has. `written_s` is when it was written, in UTC epoch seconds."""

    key: str
    written_s: float


class PictureStore(Protocol):
    """Somewhere pictures are kept by relative path. One thread calls. Every method raises EvidenceError where it fails.

    A call may take long, but not for ever.
    """

    def put(self, key: str, jpeg: bytes) -> None:
        """Keep a picture, whole or not at all, in place of what has that path; it is durable when this returns."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete pictures; those that are not there are none the less gone."""
        ...

    def kept(self, prefix: str) -> Iterator[list[Kept]]:
        """All that lies below a folder ("" is the whole store), a bounded number at a time, in any order."""
        ...
