"""Puts the detector of faces together. The thread that builds detectors."""

from __future__ import annotations

from pathlib import Path

from streammon.detect.faces.ages import AgeReader
from streammon.detect.faces.config import EmbedderName, FacesConfig
from streammon.detect.faces.detector import FacesDetector
from streammon.detect.faces.embedder import FaceEmbedder
from streammon.detect.faces.face import Embedder, Locator
from streammon.detect.faces.locator import FaceLocator
from streammon.detect.faces.sface import SFaceEmbedder
from streammon.detect.faces.yunet import YuNetLocator
from streammon.detect.runtime.session import Session
from streammon.library.listing import EmbeddingModel, Kind
from streammon.library.matching import Matcher
from streammon.library.store import LibraryStore
from streammon.library.watch import LibraryWatch


def build_faces(
    locator: Session, embedder: Session, ages: Session | None, config: FacesConfig, library: Path
) -> FacesDetector:
    """A detector that runs these models, and looks for the people of the lists in `library`; `ages` None tells no ages.

    Raises LibraryError where a list is damaged, or was made with another model.
    """
    telling = embedder_of(embedder, config.embedder)
    model = EmbeddingModel(id=telling.model_id, sha256=telling.sha256)
    return FacesDetector(
        _locator(locator, config),
        telling,
        LibraryWatch(LibraryStore(library, Kind.FACES), model, Matcher),
        None if ages is None else AgeReader(ages),
        config,
    )


def embedder_of(session: Session, name: EmbedderName) -> Embedder:
    """What tells people apart by this network."""
    return SFaceEmbedder(session) if name == "sface" else FaceEmbedder(session)


def _locator(session: Session, config: FacesConfig) -> Locator:
    kind = YuNetLocator if config.locator == "yunet" else FaceLocator
    return kind(session, config.least_score)
