"""Holds what a model on trial sees against what the current one has seen of the same frames. Pure, of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from streammon.detect.scheduling.request import Cost
from streammon.detect.shadow.report import Compared, LabelCompared, Spent, TextCompared
from streammon.entities import Detection, Observation

_SEEN_AT = 0.5


@dataclass(slots=True)
class _Label:
    both: int = 0
    only_current: int = 0
    only_candidate: int = 0
    sum_difference: float = 0.0
    max_difference: float = 0.0

    def add(self, current: float, candidate: float) -> None:
        seen = (current >= _SEEN_AT, candidate >= _SEEN_AT)
        self.both += seen == (True, True)
        self.only_current += seen == (True, False)
        self.only_candidate += seen == (False, True)
        difference = abs(candidate - current)
        self.sum_difference += difference
        self.max_difference = max(self.max_difference, difference)

    def compared(self, frames: int) -> LabelCompared:
        return LabelCompared(
            both=self.both,
            only_current=self.only_current,
            only_candidate=self.only_candidate,
            mean_difference=self.sum_difference / frames,
            max_difference=self.max_difference,
        )


class Comparison:
    """Counts. It has an entry per label that one of the two can see, and keeps no text."""

    def __init__(self) -> None:
        self._frames = self._passed_over = self._failed = 0
        self._labels: dict[str, _Label] = {}
        self._lines: Counter[str] = Counter()
        self._current = self._candidate = Cost()

    def add(self, current: Observation, candidate: Observation, spent: tuple[Cost, Cost]) -> None:
        """Both have looked at a frame, and spent this on it: the current one, and the candidate."""
        self._frames += 1
        self._current += spent[0]
        self._candidate += spent[1]
        before, after = _scores(current.detections), _scores(candidate.detections)
        for label in current.labels | candidate.labels:
            self._labels.setdefault(label, _Label()).add(before.get(label, 0.0), after.get(label, 0.0))
        old, new = _lines(current.detections), _lines(candidate.detections)
        self._lines.update(both=(old & new).total(), current=(old - new).total(), candidate=(new - old).total())

    def passed_over(self) -> None:
        """A frame that was due was not shown to the candidate."""
        self._passed_over += 1

    def failed(self) -> None:
        """The candidate failed on a frame."""
        self._failed += 1

    def compared(self) -> Compared:
        """What it comes to so far."""
        return Compared(
            frames=self._frames,
            passed_over=self._passed_over,
            failed=self._failed,
            labels={name: label.compared(self._frames) for name, label in sorted(self._labels.items())},
            text=TextCompared(
                both=self._lines["both"],
                only_current=self._lines["current"],
                only_candidate=self._lines["candidate"],
            ),
            current=self._mean(self._current),
            candidate=self._mean(self._candidate),
        )

    def _mean(self, cost: Cost) -> Spent:
        each = cost.split(max(1, self._frames))
        return Spent(cpu_s=each.cpu_s, provider_s=each.provider_s)


def _scores(detections: Iterable[Detection]) -> dict[str, float]:
    """The best score of each label."""
    best: dict[str, float] = {}
    for one in detections:
        if one.label is not None:
            best[one.label] = max(one.score, best.get(one.label, 0.0))
    return best


def _lines(detections: Iterable[Detection]) -> Counter[str]:
    return Counter("".join(one.text.casefold().split()) for one in detections if one.text is not None)
