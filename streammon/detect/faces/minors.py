"""What a distribution over ages says of minors, on the scale of policies. Pure; any thread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

GROUPS: Mapping[str, tuple[int, int]] = {
    "minors.infant": (0, 3),
    "minors.child": (3, 13),
    "minors.teenager": (13, 18),
}
"""Labels, and from which age on, and below which, each is meant."""

_ADULT = 18
# Probability of being under 18 → score. Of the 90 adults that this was tuned on none came to 0.4; of 29 under ten, 25.
_UNDER_18, _SCORES = (0.0, 0.4, 0.7, 1.0), (0.0, 0.6, 0.8, 0.95)
# A group that is this much less likely than the likeliest is not told.
_LEAST_SHARE = 0.5


def minor_scores(ages: NDArray[np.float32]) -> dict[str, float]:
    """Of each group that a face may belong to the score, 0..1; `ages` is a distribution over 0, 1, 2 … years.

    The likeliest group is that whose years are likeliest on average, or the ten years of children would outweigh all.
    It has the whole score, others a part of it: whether somebody is a child or a teenager is less sure than that it is
    no adult, and may change from picture to picture.
    """
    likely = {label: float(ages[first:last].mean()) for label, (first, last) in GROUPS.items()}
    most = max(likely.values())
    if most <= 0:
        return {}
    score = float(np.interp(ages[:_ADULT].sum(), _UNDER_18, _SCORES))
    shares = {label: mean / most for label, mean in likely.items()}
    return {label: score * share for label, share in shares.items() if share >= _LEAST_SHARE}
