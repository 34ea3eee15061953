"""What is tuned on and what is reported, and how sure a share of a few pictures is."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

_Z = 1.959963984540054  # of 95 %


def held_out(file: str) -> bool:
    """Whether the figures are of this file: the sha256 of its bare name is odd. The even ones are tuned on.

    A picture that several topics share is on the same side in all of them.
    """
    return hashlib.sha256(Path(file).name.encode()).digest()[-1] % 2 == 1


def items(folder: Path) -> list[dict[str, Any]]:
    """The entries of a topic's manifest of which the file is there."""
    listed: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["items"]
    return [item for item in listed if (folder / item["file"]).exists()]


def interval(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson (1927), 0..1; all of it where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, square = hits / n, _Z * _Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    reach = _Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def told(hits: int, n: int) -> str:
    """Such as `54 of 58 (93.1%, 95% interval 84% to 97%)`."""
    low, high = interval(hits, n)
    share = f"{hits / n:.1%}" if n else "none"
    return f"{hits} of {n} ({share}, 95% interval {low:.0%} to {high:.0%})"
