"""Makes vectors of the pictures of people who are put on a list. One thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.faces.build import embedder_of
from streammon.detect.faces.config import EMBEDDER_MODELS, EmbedderName
from streammon.detect.faces.face import Embedder, Face, Locator
from streammon.detect.faces.locator import FaceLocator
from streammon.detect.runtime.runtime import Runtime
from streammon.entities import Box, Image
from streammon.errors import FaceUnusable

_LEAST_PX = 60
# Of 158 faces the least was 7. Blurred by 3 of their 150 px, which costs a fifth of the similarity, they have 3.5.
_LEAST_SHARP = 5.0


class FaceEnroller:
    """`model_id` and `model_sha256` say what made the vectors: those of another one do not compare."""

    dimensions = 128

    def __init__(self, locator: Locator, embedder: Embedder) -> None:
        self.model_id = embedder.model_id
        self.model_sha256 = embedder.sha256
        self._locator = locator
        self._embedder = embedder

    def vector(self, image: Image, *, largest: bool = False) -> NDArray[np.float32]:
        """The one face in `image`, 128 numbers of length 1; with `largest` the largest of several.

        Raises FaceUnusable where there is none, more than one, or it is too small or blurred to be known again;
        ModelError where a model does not run.
        """
        faces = self._locator.locate(image)
        if not faces:
            raise FaceUnusable("no face was found in it; take a picture that shows the face from the front")
        if len(faces) > 1 and not largest:
            raise FaceUnusable(f"{len(faces)} faces are in it; crop it to one, or take the largest with --largest")
        face = max(faces, key=lambda one: one.size_px)
        if face.size_px < _LEAST_PX:
            raise FaceUnusable(f"the face is {face.size_px:.0f} px large; take a picture with {_LEAST_PX} px or more")
        chip = self._embedder.chip(image, face.points)
        if sharpness(chip) < _LEAST_SHARP:
            raise FaceUnusable("the face is blurred; take a sharper picture")
        (vector,) = self._embedder.vectors([chip])
        return np.asarray(vector)

    def vectors(self, image: Image) -> list[tuple[Box, NDArray[np.float32]]]:
        """Every face in `image`, the largest first: where it is, and its vector. Raises ModelError."""
        faces: list[Face] = sorted(self._locator.locate(image), key=lambda face: face.size_px, reverse=True)
        rows = self._embedder.vectors([self._embedder.chip(image, face.points) for face in faces])
        return [(face.box(image.shape), row) for face, row in zip(faces, rows, strict=True)]

    def close(self) -> None:
        """Let go of the models. May be called twice."""
        self._locator.close()
        self._embedder.close()


def open_enroller(weights: Callable[[str], Path], runtime: Runtime, embedder: EmbedderName = "dlib") -> FaceEnroller:
    """`weights` gives the file of a model by its name in the catalogue. Raises what it and `Runtime.open` raise."""
    network = runtime.open(weights(EMBEDDER_MODELS[embedder]))
    locator = FaceLocator(runtime.open(weights("centerface")))
    return FaceEnroller(locator, embedder_of(network, embedder))


def sharpness(chip: Image) -> float:
    """The variance of the Laplacian of a picture's brightness (Pech-Pacheco et al., 2000): low where it is blurred."""
    return float(cv2.Laplacian(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())
