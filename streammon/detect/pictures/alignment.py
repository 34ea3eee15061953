"""Whether two small pictures are one, once they lie on each other. Pure; any thread."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.pictures.fingerprint import SMALL_PX, detail
from streammon.entities import Image

Warp = NDArray[np.float32]
"""2 x 3: where x, y, 1 of one picture is in another, both in pixels."""

_BLOCKS = 8
_LEFT_OUT = 0.3
# How far a view may be off and still be said to show the whole picture: 15 % cut off, or as much added.
_SCALES, _TILT, _SHIFT = (0.7, 1.15), 0.08, 0.2
_ALL = np.full((SMALL_PX, SMALL_PX), 255, np.uint8)
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)


def alikeness(seen: Image, known: Image) -> float:
    """How alike two pictures of 64 x 64 are, 0..1: the better of as they are and laid on each other."""
    plain = correlation(seen, known)
    warp = _aligned(seen, known)
    if warp is None:
        return plain
    laid = cv2.warpAffine(
        known,
        warp,
        (SMALL_PX, SMALL_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8)
    return max(plain, correlation(seen, laid))


def correlation(one: Image, other: Image) -> float:
    """Of the details, 0..1, without the 30 % of the picture where they differ most: letters may fly over it."""
    a, b = _blocks(detail(one)), _blocks(detail(other))
    scaled_a, scaled_b = a / (a.std() + 1e-3), b / (b.std() + 1e-3)
    apart = np.square(scaled_a - scaled_b).sum(axis=1)
    kept = np.argsort(apart)[: round(len(apart) * (1 - _LEFT_OUT))]
    a, b = a[kept], b[kept]
    both = float(np.einsum("ij,ij->", a, b))
    norm = float(np.sqrt(np.einsum("ij,ij->", a, a) * np.einsum("ij,ij->", b, b)))
    return min(1.0, max(0.0, both / max(norm, 1e-6)))


def _aligned(seen: Image, known: Image) -> Warp | None:
    """From the seen picture to the known one, by their greys (Evangelidis and Psarakis, 2008); None where not near."""
    greys = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (seen, known)]
    try:
        _, found = cv2.findTransformECC(
            greys[0], greys[1], np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, _STEPS, _ALL, 5
        )
    except cv2.error:  # it did not converge: they are not alike
        return None
    warp = np.asarray(found, np.float32)
    scaled = all(_SCALES[0] < warp[axis, axis] < _SCALES[1] for axis in (0, 1))
    straight = abs(warp[0, 1]) < _TILT and abs(warp[1, 0]) < _TILT
    return warp if scaled and straight and np.abs(warp[:, 2]).max() < SMALL_PX * _SHIFT else None


def _blocks(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """64 blocks x their pixels; the border of a pixel is left out, where a warp has nothing to say."""
    side = (SMALL_PX - 2) // _BLOCKS
    edge = (SMALL_PX - side * _BLOCKS) // 2
    inner = fine[edge : edge + side * _BLOCKS, edge : edge + side * _BLOCKS]
    return inner.reshape(_BLOCKS, side, _BLOCKS, side, 3).transpose(0, 2, 1, 3, 4).reshape(_BLOCKS * _BLOCKS, -1)
