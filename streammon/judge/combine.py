"""What several detectors' looks at one picture come to together. Pure data: a part of a judge's state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from streammon.entities import Detection, Moment
from streammon.judge.policy import Combination


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a picture says of a label: how sure, 0..1, and by which detections."""

    label: str
    subject: str | None
    score: float
    hits: tuple[Detection, ...]


@dataclass(slots=True, kw_only=True)
class Picture:
    """The picture that is being looked at: what combinations may ask for of it, by label the strongest detection.

    `barred`: something that must not be kept is in it. Both are forgotten with the first look at another picture.
    """

    moment: Moment | None = None
    strongest: dict[str, Detection] = field(default_factory=dict)
    barred: bool = False

    def readings(
        self, moment: Moment, detections: Sequence[Detection], combinations: Sequence[Combination]
    ) -> Iterator[Reading]:
        """What one detector's look brings: each detection by itself, then the combinations that it takes part in."""
        if moment != self.moment:
            self.moment, self.strongest, self.barred = moment, {}, False
        for detection in detections:
            label = str(detection.label)
            yield Reading(label=label, subject=detection.subject, score=detection.score, hits=(detection,))
        for combination in combinations:
            if self._take(detections, combination) and (reading := self._combined(combination)) is not None:
                yield reading

    def shows_part(self, combinations: Sequence[Combination]) -> bool:
        """Whether something in the picture is, and surely enough, one of the parts of a combination."""
        return any(
            detection.label in part.labels and detection.score >= part.at_least
            for combination in combinations
            for part in combination.parts
            for detection in self.strongest.values()
        )

    def _take(self, detections: Sequence[Detection], combination: Combination) -> bool:
        """Notes what the combination asks for. Returns whether there is any."""
        mine = [d for d in detections if any(d.label in part.labels for part in combination.parts)]
        for detection in mine:
            known = self.strongest.get(str(detection.label))
            if known is None or detection.score > known.score:
                self.strongest[str(detection.label)] = detection
        return bool(mine)

    def _combined(self, combination: Combination) -> Reading | None:
        """As sure as the least sure of its parts."""
        hits = []
        for part in combination.parts:
            seen = [detection for label, detection in self.strongest.items() if label in part.labels]
            best = max(seen, key=lambda detection: detection.score, default=None)
            if best is None or best.score < part.at_least:
                return None
            hits.append(best)
        score = min(hit.score for hit in hits)
        return Reading(label=combination.label, subject=None, score=score, hits=tuple(hits))
