"""Where NanoDet's boxes are: its grids' cells, and how far a box's sides are from a cell's centre. Pure; any thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streammon.detect.custom.found import Floats, softmax

SIDE_PX = 416
STRIDES = (8, 16, 32)
BINS = 11
"""A side's distance is 0 to 10 strides: the mean of these under the likelihood that the model gives each."""


def centres() -> tuple[Floats, Floats]:
    """Each cell's centre, n x 2 pixels of the input (x, y), and its stride, n; in the order of the model's rows."""
    points, strides = [], []
    for stride in STRIDES:
        side = np.arange(SIDE_PX // stride, dtype=np.float32) * stride + stride / 2
        across, down = np.meshgrid(side, side)
        points.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full(across.size, stride, np.float32))
    return np.concatenate(points), np.concatenate(strides)


def corners(distances: NDArray[np.float32], points: Floats, strides: Floats) -> Floats:
    """n x (x1, y1, x2, y2) in pixels of the input, of n x 44 raw distances (left, top, right, bottom; 11 bins each).

    The formula is Generalized Focal Loss's (Li and others 2020), as NanoDet's `distance2bbox` has it.
    """
    likelihood = softmax(distances.reshape(-1, 4, BINS))
    sides = likelihood @ np.arange(BINS, dtype=np.float32) * strides[:, None]
    found: Floats = np.concatenate([points - sides[:, :2], points + sides[:, 2:]], axis=1)
    return found
