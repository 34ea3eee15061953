"""The detector of faces: people of the operator's lists, and children. Several of the engine's threads at once.

What is known of a face, its place, its vector and its age, is gone when the call ends. Only what matches a list, or
looks like a minor, is told: of the first the entry's id and how similar it is, of the second a label and a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streammon.detect.faces.ages import AgeReader
from streammon.detect.faces.config import FacesConfig
from streammon.detect.faces.face import Embedder, Face, Locator
from streammon.detect.faces.minors import GROUPS, minor_scores
from streammon.entities import Detection, Frame, PersonMatch, Source
from streammon.library.matching import Match, Matcher
from streammon.library.watch import LibraryWatch

Spotted = tuple[Frame, Face]


class FacesDetector:
    """One detection per listed person and label, and one per group of minors, in each frame: the surest.

    Without any entry in the lists, and without ages, nothing is looked for, and nothing is run.
    """

    name = "faces"
    parallel = 2

    def __init__(
        self,
        locator: Locator,
        embedder: Embedder,
        people: LibraryWatch[Matcher],
        ages: AgeReader | None,
        config: FacesConfig,
    ) -> None:
        """`ages` is None where no ages are told."""
        self.model = "+".join([locator.name, embedder.name, *([] if ages is None else [ages.name])])
        self.max_batch = locator.max_batch
        self._locator = locator
        self._embedder = embedder
        self._people = people
        self._ages = ages
        self._config = config

    @property
    def labels(self) -> frozenset[str]:
        """Those of the lists as they are now, and of minors."""
        return self._people.current.labels | (frozenset() if self._ages is None else frozenset(GROUPS))

    def warm_up(self) -> None:
        """Run all models once in every shape."""
        self._locator.warm_up()
        self._embedder.warm_up()
        if self._ages is not None:
            self._ages.warm_up()

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """Who is in each frame. Raises ModelError where a model does not run, or says nonsense."""
        matcher = self._people.current
        listed = any(listing.entries for listing in matcher.listings)
        if not listed and self._ages is None:
            return [()] * len(frames)
        spotted = [(frame, face) for frame in frames for face in self._largest(frame)]
        found = [*(self._listed(spotted, matcher) if listed else ()), *self._minors(spotted)]
        return [_surest(detection for seen, detection in found if seen is frame) for frame in frames]

    def close(self) -> None:
        """Let go of the models and the lists. May be called twice."""
        self._people.close()
        self._locator.close()
        self._embedder.close()
        if self._ages is not None:
            self._ages.close()

    def _largest(self, frame: Frame) -> list[Face]:
        least = min(self._config.min_face_px, self._config.min_age_px)
        faces = [face for face in self._locator.locate(frame.image) if face.size_px >= least]
        return sorted(faces, key=lambda face: face.size_px, reverse=True)[: self._config.max_faces]

    def _listed(self, spotted: Sequence[Spotted], matcher: Matcher) -> list[tuple[Frame, Detection]]:
        large = [(frame, face) for frame, face in spotted if face.size_px >= self._config.min_face_px]
        vectors = self._embedder.vectors([self._embedder.chip(frame.image, face.points) for frame, face in large])
        return [
            (frame, self._person(frame, face, match))
            for (frame, face), vector in zip(large, vectors, strict=True)
            for match in _told(matcher.find(vector))
        ]

    def _person(self, frame: Frame, face: Face, match: Match) -> Detection:
        name, entry = match.listing.name, match.entry.id
        return Detection(
            detector=self.name,
            model=self._embedder.name,
            source=Source.FACE,
            label=match.listing.label,
            score=match.score,
            box=face.box(frame.image.shape),
            subject=entry,
            person=PersonMatch(library=name, entry=entry, similarity=match.similarity),
        )

    def _minors(self, spotted: Sequence[Spotted]) -> list[tuple[Frame, Detection]]:
        if self._ages is None:
            return []
        large = [(frame, face) for frame, face in spotted if face.size_px >= self._config.min_age_px]
        ages = self._ages.distributions([self._ages.chip(frame.image, face.points) for frame, face in large])
        return [
            (frame, self._minor(frame, face, label, score))
            for (frame, face), row in zip(large, ages, strict=True)
            for label, score in minor_scores(row).items()
            if score >= self._config.min_minor_score
        ]

    def _minor(self, frame: Frame, face: Face, label: str, score: float) -> Detection:
        model = self.model if self._ages is None else self._ages.name
        return Detection(
            detector=self.name,
            model=model,
            source=Source.FACE,
            label=label,
            score=score,
            box=face.box(frame.image.shape),
        )


def _told(matches: Iterable[Match]) -> list[Match]:
    """Of one face, the best match of each label; none where an allow-list knows the face best."""
    best: dict[str, Match] = {}
    for match in matches:
        if match.listing.allow and not best:
            return []
        if not match.listing.allow:
            best.setdefault(match.listing.label, match)
    return list(best.values())


def _surest(detections: Iterable[Detection]) -> tuple[Detection, ...]:
    """One per label and subject."""
    best: dict[tuple[str | None, str | None], Detection] = {}
    for detection in detections:
        known = best.get((detection.label, detection.subject))
        if known is None or detection.score > known.score:
            best[detection.label, detection.subject] = detection
    return tuple(best.values())
