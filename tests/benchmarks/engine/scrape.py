"""Reads /metrics, and says what came between two readings."""

from __future__ import annotations

import math
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Every sample: its name, its labels sorted, its value."""

    samples: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]

    def by(self, name: str, label: str) -> dict[str, float]:
        """A sample's values by one label (one it has not: all under ""), summed over the others."""
        found: dict[str, float] = defaultdict(float)
        for (one, _), value in self.by_two(name, label, "").items():
            found[one] += value
        return dict(found)

    def by_two(self, name: str, first: str, second: str) -> dict[tuple[str, str], float]:
        """The same by two labels."""
        found: dict[tuple[str, str], float] = defaultdict(float)
        for (sample, labels), value in self.samples.items():
            if sample == name:
                found[dict(labels).get(first, ""), dict(labels).get(second, "")] += value
        return dict(found)

    def since(self, earlier: Scrape) -> Scrape:
        """What was added since. A sample that was not there then began at 0."""
        return Scrape(samples={key: value - earlier.samples.get(key, 0.0) for key, value in self.samples.items()})

    def quantile(self, name: str, share: float) -> float:
        """Of a histogram, in its unit: linear within a bucket, as Prometheus' `histogram_quantile` has it.

        NaN where nothing was observed; the last finite bound where it lies above all of them.
        """
        buckets = sorted((float(bound), number) for bound, number in self.by(f"{name}_bucket", "le").items())
        if not buckets or buckets[-1][1] == 0:
            return math.nan
        rank = share * buckets[-1][1]
        low, below = 0.0, 0.0
        for bound, upto in buckets:
            if upto >= rank:
                inside = upto - below
                return low if math.isinf(bound) or inside == 0 else low + (bound - low) * (rank - below) / inside
            low, below = bound, upto
        raise ValueError(f"{name} has no bucket that holds all")


def read(text: str) -> Scrape:
    """Of the Prometheus text format."""
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return Scrape(samples={(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples})


def scrape(url: str) -> Scrape:
    """Raises OSError where nobody answers."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
        return read(answer.read().decode())
