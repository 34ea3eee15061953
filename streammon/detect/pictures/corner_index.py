"""Where in a frame a known picture may lie, by corners they share. Built once from the lists; any thread."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.pictures.alignment import Warp
from streammon.detect.pictures.fingerprint import Corners, Descriptors, Points

_TABLES, _BITS = 8, 24
_AS_NEAR_BITS = 4  # beyond the nearest: of two lists that have a picture, both find it
_FAR_BITS = 60  # of 256; corners that differ in more are not one
_LEAST_SHARED = 6
_TRIED = 5
_REPROJECTION_PX = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`row`'s picture may lie in the frame where `warp` takes its fractions (0..1) to, in the frame's pixels."""

    row: int
    warp: Warp
    shared: int


class CornerIndex:
    """Looks up descriptors by some of their bits, in 8 tables (locality-sensitive hashing, Indyk and Motwani, 1998)."""

    def __init__(self, points: NDArray[np.float32], descriptors: NDArray[np.uint8]) -> None:
        """`points` is rows x N x 2, fractions, NaN where there are none; `descriptors` rows x N x 32."""
        there = ~np.isnan(points[..., 0])
        self._rows, _ = np.nonzero(there)
        self._count = len(points)
        self._points: Points = points[there]
        self._descriptors: Descriptors = np.ascontiguousarray(descriptors[there])
        draw = np.random.default_rng(3)
        self._chosen = [draw.permutation(256)[:_BITS] for _ in range(_TABLES)]
        self._tables = []
        for keys in self._keys(self._descriptors):
            order = np.argsort(keys, kind="stable").astype(np.int32)
            self._tables.append((keys[order], order))

    def places(self, corners: Corners) -> list[Place]:
        """At most five, those that share the most corners first."""
        if not len(self._rows) or len(corners.points) < _LEAST_SHARED:
            return []
        ours, theirs = self._pairs(corners.descriptors)
        rows = self._rows[theirs]
        shared = np.bincount(rows, minlength=self._count)
        likely = [row for row in np.argsort(-shared)[:_TRIED].tolist() if shared[row] >= _LEAST_SHARED]
        found = (_place(row, self._points[theirs[rows == row]], corners.points[ours[rows == row]]) for row in likely)
        return sorted((place for place in found if place is not None), key=lambda place: -place.shared)

    def _pairs(self, descriptors: Descriptors) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Corners of the frame and of the lists that differ in few bits, each pair once."""
        pairs = []
        for (keys, order), wanted in zip(self._tables, self._keys(descriptors), strict=True):
            first = np.searchsorted(keys, wanted, "left")
            counts = np.searchsorted(keys, wanted, "right") - first
            ours = np.repeat(np.arange(len(wanted)), counts)
            at = np.arange(len(ours)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
            pairs.append(ours * len(self._rows) + order[at])
        distinct = np.unique(np.concatenate(pairs))
        ours, theirs = distinct // len(self._rows), distinct % len(self._rows)
        differing = descriptors.view(np.uint64)[ours] ^ self._descriptors.view(np.uint64)[theirs]
        bits = np.bitwise_count(differing).sum(axis=1)
        nearest = np.full(len(descriptors), _FAR_BITS)
        np.minimum.at(nearest, ours, bits)
        near = bits <= np.minimum(nearest[ours] + _AS_NEAR_BITS, _FAR_BITS)
        return ours[near], theirs[near]

    def _keys(self, descriptors: Descriptors) -> list[NDArray[np.uint32]]:
        bits = np.unpackbits(descriptors, axis=1)
        worth = np.uint32(1) << np.arange(_BITS, dtype=np.uint32)
        return [(bits[:, chosen] * worth).sum(axis=1, dtype=np.uint32) for chosen in self._chosen]


def _place(row: int, known: Points, seen: Points) -> Place | None:
    """By a transform that most pairs agree on: fractions to pixels, upright or turned, without a squeeze of its angles.

    The fractions are of both sides alike, so a picture that is not square is found by an affine transform.
    """
    found, agreed = cv2.estimateAffine2D(known, seen, ransacReprojThreshold=_REPROJECTION_PX, maxIters=500)
    shared = len(np.unique(seen[np.asarray(agreed)[:, 0].astype(bool)], axis=0))
    if shared < _LEAST_SHARED:  # also where it found none, and `found` is None
        return None
    return Place(row=row, warp=np.asarray(found, np.float32), shared=shared)
