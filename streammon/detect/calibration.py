"""What a detector's score means to a policy: from `REVIEW_SCORE` on a person should look. Pure; any thread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streammon.errors import ModelError

REVIEW_SCORE = 0.7
"""The score that every threshold of a detector's own comes out as, so that one policy fits all of them."""

_EPSILON = 1e-3  # half precision and a softmax's sum leave a probability a hair above 1


def calibrated(raw: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.float32]:
    """N x C probabilities as scores: 0 stays 0, 1 stays 1, a column's threshold becomes REVIEW_SCORE, straight between.

    Raises ModelError where a probability is none, such as NaN.
    """
    if raw.size and not (raw.min() >= -_EPSILON and raw.max() <= 1 + _EPSILON):
        raise ModelError(f"its probabilities go from {raw.min():.3g} to {raw.max():.3g}, not from 0 to 1")
    below = raw * (REVIEW_SCORE / thresholds)
    above = REVIEW_SCORE + (raw - thresholds) * ((1 - REVIEW_SCORE) / np.maximum(1 - thresholds, _EPSILON))
    scores: NDArray[np.float32] = np.where(raw < thresholds, below, above).clip(0.0, 1.0).astype(np.float32)
    return scores
