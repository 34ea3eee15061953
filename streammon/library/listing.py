"""What a list holds: its label and thresholds, its entries, and a row of numbers per photo. Pure; any thread."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.errors import LibraryError

Arrays = Mapping[str, NDArray[Any]]
"""What is known of photos, by name, each with a row per photo; `vectors` (rows x d float32) is always there."""

SCORE_REVIEW, SCORE_SURE = 0.7, 0.95
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LONGEST_ID, _DIGEST_CHARS = 100, 8


class Kind(StrEnum):
    """What a list is of. The values are folders' names."""

    FACES = "faces"
    IMAGES = "images"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """What made the vectors. Those of two models have nothing to do with each other, nor of two files of one model."""

    id: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.id} ({self.sha256[:12]})" if self.sha256 else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Similarities, 0 < review < sure <= 1: from `review` on it is a match, from `sure` on beyond doubt."""

    review: float
    sure: float

    def __post_init__(self) -> None:
        """Raises LibraryError where they are not so."""
        if not 0 < self.review < self.sure <= 1:
            raise LibraryError(
                f"thresholds: review {self.review:g} and sure {self.sure:g} should be 0 < review < sure <= 1"
            )

    def score(self, similarity: float) -> float:
        """The similarity as a detection's score, 0..1: straight lines through (review, 0.7) and (sure, 0.95).

        What lists measure differs; policies have one scale, on which 0.7 is worth a look and 0.95 as good as certain.
        """
        at, scores = (0.0, self.review, self.sure, 1.0), (0.0, SCORE_REVIEW, SCORE_SURE, 1.0)
        return float(np.interp(similarity, at, scores))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One person or picture. `id` is safe in a file's name; `photos` is how many rows are its own."""

    id: str
    name: str
    photos: int
    added_at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One list. The rows of its arrays are its entries' photos, in the order of the entries.

    `label` is a taxonomy name. What an `allow` list knows is fine, whatever the others say of it.
    """

    name: str
    kind: Kind
    label: str
    thresholds: Thresholds
    model: EmbeddingModel
    entries: tuple[Entry, ...]
    arrays: Arrays
    allow: bool = False

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Rows x d."""
        return self.arrays["vectors"]

    def owners(self) -> NDArray[np.intp]:
        """For each row, the index of its entry."""
        return np.repeat(np.arange(len(self.entries)), [entry.photos for entry in self.entries])


def check_list_name(name: str) -> str:
    """The name of a list. Raises LibraryError where it could not be a file's everywhere."""
    if not _NAME.fullmatch(name):
        raise LibraryError(f"{name!r}: a list's name is of a-z, 0-9, - and _, at most 64 of them")
    return name


def entry_id(name: str) -> str:
    """The id of an entry of this display name: `Jane Doe` is `jane-doe`. Letters of any script stay, with their marks.

    An id's own id is itself. One of over 100 bytes ends in a digest in place of the rest. Raises LibraryError where
    nothing is left.
    """
    made = "-".join(_lettered(unicodedata.normalize("NFKC", name).casefold()).split()).strip("-_")
    if not made:
        raise LibraryError(f"{name!r}: a name needs a letter or a digit")
    whole = made.encode()
    if len(whole) <= _LONGEST_ID:
        return made
    digest = hashlib.sha256(whole).hexdigest()[:_DIGEST_CHARS]
    return f"{whole[: _LONGEST_ID - _DIGEST_CHARS - 1].decode(errors='ignore').rstrip('-_')}-{digest}"


def _lettered(text: str) -> str:
    """Letters, digits and _ of `text`, and spaces for the rest. Vowels of Hindi, Thai and others are marks on letters:
    without them different names would be one.
    """
    kept: list[str] = []
    for one in text:
        marks = unicodedata.category(one).startswith("M") and bool(kept) and kept[-1] != " "
        kept.append(one if one == "_" or one.isalnum() or marks else " ")
    return "".join(kept)


def with_photos(listing: Listing, entry: Entry, arrays: Arrays) -> Listing:
    """The list with `entry.photos` more rows of an entry, which is new or, by its id, there already.

    Raises LibraryError where the rows are not like those of the list.
    """
    _check_alike(listing, entry, arrays)
    at = next((index for index, known in enumerate(listing.entries) if known.id == entry.id), len(listing.entries))
    row = sum(known.photos for known in listing.entries[: at + 1])
    grown = {name: np.concatenate([kept[:row], arrays[name], kept[row:]]) for name, kept in listing.arrays.items()}
    entries = list(listing.entries)
    if at < len(entries):
        known = entries[at]
        entries[at] = replace(known, photos=known.photos + entry.photos, note=entry.note or known.note)
    else:
        entries.append(entry)
    return replace(listing, entries=tuple(entries), arrays=grown)


def without(listing: Listing, entry: str) -> Listing:
    """The list without an entry, by its id, and all of its rows. Raises LibraryError where it has none such."""
    index = next((index for index, known in enumerate(listing.entries) if known.id == entry), None)
    if index is None:
        raise LibraryError(f"{listing.kind} list {listing.name!r} has no entry {entry!r}")
    kept = listing.owners() != index
    return replace(
        listing,
        entries=(*listing.entries[:index], *listing.entries[index + 1 :]),
        arrays={name: rows[kept] for name, rows in listing.arrays.items()},
    )


def _check_alike(listing: Listing, entry: Entry, arrays: Arrays) -> None:
    for name, rows in listing.arrays.items():
        new = arrays.get(name)
        if new is None or len(new) != entry.photos or new.shape[1:] != rows.shape[1:] or new.dtype != rows.dtype:
            raise LibraryError(
                f"{listing.kind} list {listing.name!r}: {name} of {entry.name!r} are not like the list's"
            )
    if not np.isfinite(arrays["vectors"]).all():
        raise LibraryError(
            f"{listing.kind} list {listing.name!r}: the vectors of {entry.name!r} are not finite numbers"
        )
