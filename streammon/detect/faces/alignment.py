"""Turns a face upright and cuts it out, as dlib's networks were trained on faces. Pure; any thread."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.face import Points
from streammon.entities import Image

# Where CenterFace's points lie in the square that dlib's `get_face_chip_details` aligns a face to, without its padding:
# the median of 129 faces of the tuned half, mirrored. CenterFace's eyes are some 8 % wider apart than dlib's own marks.
_PLACES = np.array([[0.2161, 0.2105], [0.7839, 0.2105], [0.5, 0.5374], [0.261, 0.783], [0.739, 0.783]])


def chip(image: Image, points: Points, side_px: int, padding: float) -> Image:
    """The face as side x side x 3, `padding` of its own size around it on each side; black outside of the picture."""
    turned = similarity(points, (_PLACES + padding) / (2 * padding + 1) * side_px)
    shown = _shown(image, turned, side_px)
    if shown is None:
        return np.zeros((side_px, side_px, 3), np.uint8)
    part, turned = shown
    cut = cv2.warpAffine(part, turned, (side_px, side_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return cut.astype(np.uint8, copy=False)


def similarity(sources: Points, targets: Points) -> NDArray[np.float64]:
    """The turn, scale and shift, 2 x 3, that bring `sources` (n x 2) nearest to `targets` by least squares.

    The formula: Umeyama, Least-squares estimation of transformation parameters between two point patterns (1991).
    """
    mean_source, mean_target = sources.mean(axis=0), targets.mean(axis=0)
    around, wanted = sources - mean_source, targets - mean_target
    left, spread, right = np.linalg.svd(wanted.T @ around)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    turn = left @ np.diag(signs) @ right
    size = (around**2).sum()
    scale = (spread * signs).sum() / size if size > 0 else 1.0
    return np.column_stack([scale * turn, mean_target - scale * turn @ mean_source])


def _shown(image: Image, turned: NDArray[np.float64], side_px: int) -> tuple[Image, NDArray[np.float64]] | None:
    """The part of the picture that the square shows, at a half, a quarter … of its size where that is still enough;
    None where it shows nothing of it.

    Between pixels that are far apart `warpAffine` would pass over all others. It takes no picture of over 32,766 px.
    """
    scale = math.sqrt(abs(np.linalg.det(turned[:, :2])))
    if scale <= 0:
        return None
    step = 2 ** max(0, math.floor(math.log2(1 / scale)))
    corners = np.array([[0, 0], [side_px, 0], [0, side_px], [side_px, side_px]], np.float64)
    shown = (corners - turned[:, 2]) @ np.linalg.inv(turned[:, :2]).T
    sizes = np.array(image.shape[1::-1])
    (left, top), (right, bottom) = (
        np.clip(np.floor(edge) + reach, 0, sizes).astype(int).tolist()
        for edge, reach in ((shown.min(axis=0), -step), (shown.max(axis=0), step + 1))
    )
    part = image[top:bottom, left:right]
    if min(part.shape[:2]) < step:
        return None
    small = part
    if step > 1:
        halved = (part.shape[1] // step, part.shape[0] // step)
        small = cv2.resize(part, halved, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    steps = np.array([part.shape[1] / small.shape[1], part.shape[0] / small.shape[0]])
    # Pixels' centres are at whole numbers: the small one's first lies (steps - 1) / 2 further in than the part's.
    shift = turned[:, 2] + turned[:, :2] @ (np.array([left, top]) + (steps - 1) / 2)
    return small, np.column_stack([turned[:, :2] * steps, shift])
