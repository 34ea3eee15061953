"""The demo's closing summary, from the monitor's metrics page and the events that were consumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streammon.events import Phase, ViolationEvent


def summarise(page: str, violations: Iterable[ViolationEvent]) -> str:
    """A few lines: frames decoded, sampled, analysed and dropped, events by label, frame age p50 and p95."""
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    analysed = ", ".join(
        f"{sample.labels['detector']} {sample.value:.0f}"
        for sample in samples
        if sample.name == "streammon_frames_analysed_total"
    )
    starts = Counter(event.label for event in violations if event.phase is Phase.START)
    ages = [sample for sample in samples if sample.name == "streammon_frame_age_seconds_bucket"]
    decoded, packets, sampled, dropped = (
        _total(samples, f"streammon_{name}_total")
        for name in ("frames_decoded", "packets", "frames_sampled", "frames_dropped")
    )
    labels = ", ".join(f"{label} {count}" for label, count in sorted(starts.items()))
    return "\n".join(
        (
            f"decoded {decoded} frames of {packets} packets, sampled {sampled}, dropped {dropped}",
            f"analysed: {analysed}",
            f"incidents: {labels or 'none'}",
            f"frame age, received to judged: p50 {_quantile(ages, 0.5):.2f} s, p95 {_quantile(ages, 0.95):.2f} s",
        )
    )


def _total(samples: Iterable[Sample], name: str) -> int:
    return round(sum(sample.value for sample in samples if sample.name == name))


def _quantile(buckets: list[Sample], share: float) -> float:
    """The quantile of a cumulative histogram, interpolated within its bucket as Prometheus does; 0 of no samples."""
    bounds = [(float(bucket.labels["le"]), bucket.value) for bucket in buckets]
    wanted = share * max((count for _, count in bounds), default=0.0)
    lower_s, below = 0.0, 0.0
    for upper_s, count in bounds:
        if count >= wanted and count > below:
            within = (wanted - below) / (count - below)
            return lower_s if upper_s == float("inf") else lower_s + within * (upper_s - lower_s)
        lower_s, below = upper_s, count
    return 0.0
