"""What lists are made with, for `streammon library`: one door to the models of faces and of pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streammon.detect.config import DetectConfig
from streammon.detect.faces.config import EmbedderName
from streammon.detect.faces.enrol import open_enroller
from streammon.detect.pictures.finder import PictureFinder
from streammon.detect.pictures.fingerprint import DEFAULTS, MODEL, blank, fingerprint
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Box, Image
from streammon.library.listing import Arrays, EmbeddingModel, Kind, Listing, Thresholds
from streammon.library.matching import Match, Matcher
from streammon.models.catalog import load_catalog
from streammon.models.store import ModelStore

_SHOWN = 5
# Of sface: OpenCV calls two faces of one person from 0.363 on; it has not been run here, so a little above.
_FACE_THRESHOLDS: Mapping[EmbedderName, Thresholds] = {
    "dlib": Thresholds(review=0.70, sure=0.78),
    "sface": Thresholds(review=0.42, sure=0.52),
}

Seen = tuple[Box | None, tuple[Match, ...]]
"""A face or a picture: where it is (None: the whole picture), and the entries most like it, the best first."""


class Enroller(Protocol):
    """Makes a photo's rows of a list's arrays, and tells who or what is in a picture."""

    @property
    def model(self) -> EmbeddingModel: ...

    @property
    def defaults(self) -> Thresholds: ...

    def blank(self) -> Arrays:
        """The arrays of a list without photos."""

    def rows(self, image: Image, *, largest: bool) -> Arrays:
        """One row of each array. Raises StreammonError, with the cure, where the picture is of no use."""

    def seen(self, image: Image, listings: Sequence[Listing]) -> list[Seen]:
        """What the lists say of a picture, whatever their thresholds."""


class FaceVectors(Protocol):
    """What is asked of a `FaceEnroller`: the vectors are float32 of length 1."""

    model_id: str
    model_sha256: str
    dimensions: int

    def vector(self, image: Image, *, largest: bool = False) -> NDArray[np.float32]: ...

    def vectors(self, image: Image) -> Sequence[tuple[Box, NDArray[np.float32]]]: ...


@contextmanager
def enroller(kind: Kind, models: Path, embedder: EmbedderName = "dlib") -> Iterator[Enroller]:
    """What a kind of lists is made with, faces by the network `embedder`.

    Raises StreammonError where its weights are not in `models`.
    """
    if kind is Kind.IMAGES:
        yield PicturesEnroller()
        return
    runtime = Runtime(DetectConfig(provider="cpu"))
    store = ModelStore(models, load_catalog())
    faces = open_enroller(store.path, runtime, embedder)
    try:
        yield FacesEnroller(faces, _FACE_THRESHOLDS[embedder])
    finally:
        faces.close()


class FacesEnroller:
    """Vectors of faces."""

    def __init__(self, faces: FaceVectors, defaults: Thresholds) -> None:
        self._faces = faces
        self.defaults = defaults
        self.model = EmbeddingModel(id=faces.model_id, sha256=faces.model_sha256)

    def blank(self) -> Arrays:
        return {"vectors": np.zeros((0, self._faces.dimensions), np.float32)}

    def rows(self, image: Image, *, largest: bool) -> Arrays:
        return {"vectors": self._faces.vector(image, largest=largest)[None]}

    def seen(self, image: Image, listings: Sequence[Listing]) -> list[Seen]:
        matcher = Matcher(listings)
        return [(box, matcher.find(vector, -math.inf)[:_SHOWN]) for box, vector in self._faces.vectors(image)]


class PicturesEnroller:
    """Fingerprints of pictures."""

    defaults = DEFAULTS
    model = MODEL

    def blank(self) -> Arrays:
        return blank()

    def rows(self, image: Image, *, largest: bool) -> Arrays:  # noqa: ARG002 - there is but one picture in a picture
        return fingerprint(image)

    def seen(self, image: Image, listings: Sequence[Listing]) -> list[Seen]:
        found = PictureFinder(listings).find(image, least=0.0, allowed=True)
        return [(sighting.box, (sighting.match,)) for sighting in found[:_SHOWN]]
