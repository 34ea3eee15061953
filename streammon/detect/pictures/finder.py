"""Finds the known pictures in a frame. Built once from what the lists are now; any thread."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streammon.detect.pictures.alignment import Warp, alikeness
from streammon.detect.pictures.corner_index import CornerIndex
from streammon.detect.pictures.fingerprint import SMALL_PX, coarse, frame_corners, shrunk
from streammon.entities import Box, Image
from streammon.library.listing import Entry, Listing
from streammon.library.matching import Match
from streammon.library.vector_index import VectorIndex

_PROPOSED = 0.45  # correlation of the coarse views
_TRIED = 3
_LEAST_SIDE = 0.12  # of a part, as a share of the frame's side
_WHOLE = 0.9
_SAME_PLACE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A known picture in a frame; `box` is None where it is all of it."""

    match: Match
    box: Box | None


class PictureFinder:
    """All lists of pictures. What an allow-list knows better than the others is nothing."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        filled = [listing for listing in listings if listing.entries]
        self.labels = frozenset(listing.label for listing in listings if not listing.allow)
        self._rows = [(listing, listing.entries[owner]) for listing in filled for owner in listing.owners().tolist()]
        if not filled:
            return
        self._views = VectorIndex(np.concatenate([listing.vectors for listing in filled]))
        self._small = np.concatenate([listing.arrays["small"] for listing in filled])
        self._corners = CornerIndex(
            np.concatenate([listing.arrays["points"] for listing in filled]),
            np.concatenate([listing.arrays["descriptors"] for listing in filled]),
        )

    def find(
        self, image: Image, *, parts: bool = True, least: float | None = None, allowed: bool = False
    ) -> tuple[Sighting, ...]:
        """Each entry at most once, from its list's `review` on, or from `least` on; the highest score first.

        With `parts` it may also be a part of the frame, from about an eighth of its width and height on. `allowed`
        also tells what allow-lists know, and what they know better than the others.
        """
        if not self._rows:
            return ()
        best: dict[tuple[str, str], Sighting] = {}
        for row, similarity, box in (*self._as_whole(image), *(self._as_part(image) if parts else ())):
            listing, entry = self._rows[row]
            if similarity >= (listing.thresholds.review if least is None else least):
                known = best.get((listing.name, entry.id))
                if known is None or similarity > known.match.similarity:
                    best[listing.name, entry.id] = _sighting(listing, entry, similarity, box)
        kept = [sighting for sighting in best.values() if allowed or not _allowed(sighting, best.values())]
        return tuple(sorted(kept, key=lambda sighting: sighting.match.score, reverse=True))

    def _as_whole(self, image: Image) -> Iterator[tuple[int, float, Box | None]]:
        small = shrunk(image, SMALL_PX)
        rows, similar = self._views.near(coarse(small), _PROPOSED)
        for row in rows[np.argsort(-similar)[:_TRIED]].tolist():
            yield row, alikeness(small, self._small[row]), None

    def _as_part(self, image: Image) -> Iterator[tuple[int, float, Box | None]]:
        corners = frame_corners(image)
        frame = cv2.resize(image, (corners.width, corners.height), interpolation=cv2.INTER_AREA).astype(np.uint8)
        for place in self._corners.places(corners):
            box = _box(place.warp, corners.width, corners.height)
            if box is not None:
                whole = box.w > _WHOLE and box.h > _WHOLE
                yield place.row, alikeness(_cut(frame, place.warp), self._small[place.row]), None if whole else box


def _cut(frame: Image, warp: Warp) -> Image:
    """What lies where `warp` takes the unit square, at 64 x 64."""
    step_px = float(np.linalg.norm(warp[:, :2], axis=0).max()) / SMALL_PX
    blurred = cv2.blur(frame, (round(step_px), round(step_px))) if step_px >= 2 else frame
    to_frame = warp @ np.diag([1 / SMALL_PX, 1 / SMALL_PX, 1]).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(blurred, to_frame, (SMALL_PX, SMALL_PX), flags=flags).astype(np.uint8)


def _box(warp: Warp, width: int, height: int) -> Box | None:
    """The frame's part that the unit square covers; None for what is too small, or turned inside out."""
    if np.linalg.det(warp[:, :2]) <= 0:
        return None
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], np.float32) @ warp.T / (width, height)
    (left, top), (right, bottom) = corners.min(0).clip(0, 1).tolist(), corners.max(0).clip(0, 1).tolist()
    box = Box(x=left, y=top, w=right - left, h=bottom - top)
    return box if min(box.w, box.h) >= _LEAST_SIDE else None


def _sighting(listing: Listing, entry: Entry, similarity: float, box: Box | None) -> Sighting:
    score = listing.thresholds.score(similarity)
    return Sighting(match=Match(listing=listing, entry=entry, similarity=similarity, score=score), box=box)


def _allowed(sighting: Sighting, every: Collection[Sighting]) -> bool:
    """Whether an allow-list knows what is there at least as well. Of that itself nothing is said either."""
    return sighting.match.listing.allow or any(
        other.match.listing.allow
        and other.match.similarity >= sighting.match.similarity
        and _overlap(other.box, sighting.box) >= _SAME_PLACE
        for other in every
    )


def _overlap(one: Box | None, other: Box | None) -> float:
    """Intersection over union, 0..1; None is the whole frame."""
    a, b = (box if box is not None else Box(x=0, y=0, w=1, h=1) for box in (one, other))
    wide = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    high = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    both = max(0.0, wide) * max(0.0, high)
    return both / (a.w * a.h + b.w * b.h - both)
