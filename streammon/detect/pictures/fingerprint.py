"""What is kept of a picture to know it again: how it looks when small, and its corners. Pure; any thread.

A coarse view proposes, corners propose parts of a frame, and the detail of the small picture decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.entities import Image
from streammon.errors import LibraryError
from streammon.library.listing import Arrays, EmbeddingModel, Thresholds

MODEL = EmbeddingModel(id="pictures-1", sha256="")
"""The version of all that is written here: what it makes is compared with nothing else."""

DEFAULTS = Thresholds(review=0.55, sure=0.7)
"""Of a new list. Of 267 pictures none was like another by more than 0.5; copies, written on too, are from 0.6 on."""

SMALL_PX = 64
_COARSE_PX = 16
_LIBRARY_PX, _FRAME_PX = 320, 640
_CORNERS = 256
_LEAST_PX = 32
_LEAST_DETAIL = 2.0  # grey levels; a wall, a gradient or a black picture has less

Points = NDArray[np.float32]
"""N x 2: x and y in pixels."""
Descriptors = NDArray[np.uint8]
"""N x 32: 256 bits each."""


_NO_POINTS, _NO_DESCRIPTORS = np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corners:
    """The ORB corners of a picture (Rublee et al., 2011), which was scaled to `width` x `height` for it."""

    width: int
    height: int
    points: Points
    descriptors: Descriptors


def fingerprint(image: Image) -> Arrays:
    """One photo's row of each of a list's arrays.

    `vectors` is the coarse view, `small` the picture at 64 x 64, `points` its corners at fractions of its size (NaN
    where there are fewer) and `descriptors` theirs. Raises LibraryError for a picture that could not be told apart.
    """
    if min(image.shape[:2]) < _LEAST_PX:
        size = f"{image.shape[1]} x {image.shape[0]}"
        raise LibraryError(f"is {size} pixels, and {_LEAST_PX} each way are the least; find a larger copy")
    small = shrunk(image, SMALL_PX)
    if detail(small).std() < _LEAST_DETAIL:
        raise LibraryError("has too little in it to be told from others; find one with more, or crop it to its subject")
    found = corners_of(image, _LIBRARY_PX, enlarge=True, per_cell=6, cell_px=24)
    points = np.full((_CORNERS, 2), np.nan, np.float32)
    descriptors = np.zeros((_CORNERS, 32), np.uint8)
    count = min(_CORNERS, len(found.points))
    points[:count] = found.points[:count] / (found.width, found.height)
    descriptors[:count] = found.descriptors[:count]
    return {
        "vectors": coarse(small)[None],
        "small": small[None],
        "points": points[None],
        "descriptors": descriptors[None],
    }


def blank() -> Arrays:
    """The arrays of a list without photos."""
    return {
        "vectors": np.zeros((0, _COARSE_PX * _COARSE_PX * 3), np.float32),
        "small": np.zeros((0, SMALL_PX, SMALL_PX, 3), np.uint8),
        "points": np.zeros((0, _CORNERS, 2), np.float32),
        "descriptors": np.zeros((0, _CORNERS, 32), np.uint8),
    }


def shrunk(image: Image, side_px: int) -> Image:
    """The picture squeezed to a square, each pixel the mean of what it stands for."""
    return cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def coarse(small: Image) -> NDArray[np.float32]:
    """The 16 x 16 colours less their mean, as a vector of length 1: the cosine of two is their correlation."""
    colours = shrunk(small, _COARSE_PX).astype(np.float32)
    vector = (colours - colours.mean((0, 1))).ravel()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)


def detail(small: Image) -> NDArray[np.float32]:
    """What is finer than some pixels of a small picture and not noise: a difference of Gaussians, per colour."""
    colours = small.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(colours, (0, 0), 0.8) - cv2.GaussianBlur(colours, (0, 0), 3.0), np.float32)


def frame_corners(image: Image) -> Corners:
    """Those of a frame: many, and from all over it, since letters that fly through it have the strongest."""
    return corners_of(image, _FRAME_PX, enlarge=False, per_cell=8, cell_px=32)


def corners_of(image: Image, longest_px: int, *, enlarge: bool, per_cell: int, cell_px: int) -> Corners:
    """At most `per_cell` corners of each cell, the strongest ones first within all of the picture."""
    scale = longest_px / max(image.shape[:2])
    if scale < 1 or enlarge:
        size = tuple(max(8, round(side * scale)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR).astype(
            np.uint8
        )
    height, width = image.shape[:2]
    if min(width, height) < _LEAST_PX:
        return Corners(width=width, height=height, points=_NO_POINTS, descriptors=_NO_DESCRIPTORS)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    orb = cv2.ORB.create(nfeatures=_FRAME_PX * 4, fastThreshold=10)
    spread = _spread(orb.detect(grey, None), per_cell, cell_px)
    points, descriptors = orb.compute(grey, spread)
    if descriptors is None or not len(points):
        return Corners(width=width, height=height, points=_NO_POINTS, descriptors=_NO_DESCRIPTORS)
    return Corners(
        width=width,
        height=height,
        points=np.array([point.pt for point in points], np.float32),
        descriptors=np.ascontiguousarray(descriptors, np.uint8),
    )


def _spread(points: Sequence[cv2.KeyPoint], per_cell: int, cell_px: int) -> list[cv2.KeyPoint]:
    taken: dict[tuple[int, int], int] = defaultdict(int)
    kept = []
    for point in sorted(points, key=lambda one: one.response, reverse=True):
        cell = (int(point.pt[0]) // cell_px, int(point.pt[1]) // cell_px)
        if taken[cell] < per_cell:
            taken[cell] += 1
            kept.append(point)
    return kept
