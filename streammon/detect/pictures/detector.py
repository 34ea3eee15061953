"""The finder of known pictures: those of the platform's lists, as the frame or as a part of it. Several threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streammon.detect.pictures.config import PicturesConfig
from streammon.detect.pictures.finder import PictureFinder, Sighting
from streammon.detect.pictures.fingerprint import MODEL
from streammon.entities import Detection, Frame, LibraryMatch, Source
from streammon.library.listing import Kind
from streammon.library.store import LibraryStore
from streammon.library.watch import LibraryWatch


class PicturesDetector:
    """One detection per known picture; its subject is the entry's id. The lists are read anew while it runs."""

    name = "pictures"
    model = MODEL.id
    parallel = 2
    max_batch = 1  # one picture after the other: a batch gains nothing

    def __init__(self, library: Path, config: PicturesConfig) -> None:
        """Raises LibraryError with all that is wrong with any list."""
        self._config = config
        self._lists = LibraryWatch(LibraryStore(library, Kind.IMAGES), MODEL, PictureFinder)

    @property
    def labels(self) -> frozenset[str]:
        """Those of the lists as they are now."""
        return self._lists.current.labels

    def warm_up(self) -> None:
        """Nothing to compile."""

    def detect(self, frames: Sequence[Frame]) -> list[tuple[Detection, ...]]:
        """The known pictures in each frame, at most `max_matches` of them, the surest first."""
        finder = self._lists.current
        return [
            tuple(self._detection(one) for one in finder.find(frame.image, parts=self._config.parts))[
                : self._config.max_matches
            ]
            for frame in frames
        ]

    def close(self) -> None:
        """Look no more at the lists. May be called twice."""
        self._lists.close()

    def _detection(self, sighting: Sighting) -> Detection:
        match = sighting.match
        return Detection(
            detector=self.name,
            model=self.model,
            source=Source.LIBRARY,
            label=match.listing.label,
            score=match.score,
            box=sighting.box,
            subject=match.entry.id,
            library=LibraryMatch(library=match.listing.name, entry=match.entry.id, similarity=match.similarity),
        )
