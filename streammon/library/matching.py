"""Who or what of a kind's lists is like a vector. Built once from what the lists are now; any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streammon.library.listing import Entry, Listing
from streammon.library.vector_index import VectorIndex, Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An entry of a list, the similarity of its most similar photo, and what that is as a detection's score, 0..1."""

    listing: Listing
    entry: Entry
    similarity: float
    score: float


class Matcher:
    """All lists of a kind, whose vectors one model made. Their thresholds are their own."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self.listings = tuple(listings)
        self.labels = frozenset(listing.label for listing in listings if not listing.allow)
        self._entries = [(listing, entry) for listing in listings for entry in listing.entries]
        filled = [listing for listing in listings if len(listing.vectors)]
        if not filled:
            self._index = None
            return
        self._index = VectorIndex(np.concatenate([listing.vectors for listing in filled]))
        self._owners = np.repeat(np.arange(len(self._entries)), [entry.photos for _, entry in self._entries])
        self._review = np.concatenate(
            [np.full(len(listing.vectors), listing.thresholds.review, np.float32) for listing in filled]
        )

    def find(self, vector: Vectors, least: float | None = None) -> tuple[Match, ...]:
        """The entries like `vector` (d): from their list's `review` on, or from `least` on; the highest score first."""
        if self._index is None:
            return ()
        rows, similar = self._index.near(vector, self._review if least is None else least)
        best: dict[int, float] = {}
        for owner, similarity in zip(self._owners[rows].tolist(), similar.tolist(), strict=True):
            best[owner] = max(similarity, best.get(owner, similarity))
        matches = [self._match(owner, similarity) for owner, similarity in best.items()]
        return tuple(sorted(matches, key=lambda match: (match.score, match.similarity), reverse=True))

    def _match(self, owner: int, similarity: float) -> Match:
        listing, entry = self._entries[owner]
        score = listing.thresholds.score(similarity)
        return Match(listing=listing, entry=entry, similarity=max(0.0, similarity), score=score)
