"""Faces of the pictures of `EVAL_DIR`, found and measured once, for the topics `faces` and `ages`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from streammon.detect.config import DetectConfig
from streammon.detect.faces.ages import AgeReader
from streammon.detect.faces.embedder import FaceEmbedder
from streammon.detect.faces.face import Face
from streammon.detect.faces.locator import FaceLocator
from streammon.entities import Image
from streammon.library.read_picture import read_picture
from tests.benchmarks.accuracy.halves import items
from tests.benchmarks.bench_detectors import parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Those of faces, as the detector runs them."""

    locator: FaceLocator
    embedder: FaceEmbedder
    ages: AgeReader


@cache
def models() -> Models:
    """Opened once per run."""
    made = parts(DetectConfig())
    return Models(
        locator=FaceLocator(made.open("centerface")),
        embedder=FaceEmbedder(made.open("dlib-face")),
        ages=AgeReader(made.open("faceres-age")),
    )


def subject(faces: list[Face], image: Image) -> Face | None:
    """The face that a portrait is of: large, and near the middle. Other people may stand beside."""
    height, width = image.shape[:2]

    def worth(face: Face) -> float:
        across = (face.left + face.width / 2) / width - 0.5
        down = (face.top + face.height / 2) / height - 0.5
        return face.width * face.height * math.exp(-4 * (across**2 + down**2))

    return max(faces, key=worth, default=None)


def portraits(folder: Path) -> Iterator[tuple[dict[str, object], Image, Face | None]]:
    """Each item of a topic, its picture, and the face that it is of."""
    for item in items(folder):
        image = read_picture(folder / item["file"])
        yield item, image, subject(models().locator.locate(image), image)
