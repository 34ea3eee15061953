"""Lists and pictures for the tests of libraries."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.entities import Image
from streammon.library.listing import Arrays, EmbeddingModel, Entry, Kind, Listing, Thresholds, with_photos

MODEL = EmbeddingModel(id="face-1", sha256="ab" * 32)
AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def vectors(count: int, seed: int = 1, size: int = 16) -> NDArray[np.float32]:
    """Of length 1, in random directions."""
    drawn = np.random.default_rng(seed).standard_normal((count, size))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def entry(name: str, photos: int = 1) -> Entry:
    return Entry(id=name, name=name.title(), photos=photos, added_at=AT)


def listing(name: str = "wanted", *, size: int = 16, **changed: object) -> Listing:
    """A list of faces without entries."""
    made = {
        "name": name, "kind": Kind.FACES, "label": "politics.person", "model": MODEL, "entries": (),
        "thresholds": Thresholds(review=0.7, sure=0.8), "arrays": {"vectors": np.zeros((0, size), np.float32)},
    }  # fmt: skip
    return Listing(**{**made, **changed})  # type: ignore[arg-type]


def filled(people: dict[str, Arrays], base: Listing | None = None) -> Listing:
    """A list with these people, each with the rows of its arrays."""
    made = base if base is not None else listing()
    for name, arrays in people.items():
        made = with_photos(made, entry(name, len(arrays["vectors"])), arrays)
    return made


def scene(seed: int, width: int = 480, height: int = 360) -> Image:
    """A picture of many shapes, another one for each seed."""
    draw = np.random.default_rng(seed)
    image = cv2.resize(
        draw.integers(0, 256, (4, 5, 3)).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(40):
        colour = tuple(int(part) for part in draw.integers(0, 256, 3))
        at = (int(draw.integers(0, width)), int(draw.integers(0, height)))
        if draw.random() < 0.5:
            cv2.circle(image, at, int(draw.integers(6, 40)), colour, -1)
        else:
            to = (int(draw.integers(0, width)), int(draw.integers(0, height)))
            cv2.line(image, at, to, colour, int(draw.integers(2, 8)))
    return np.ascontiguousarray(image, np.uint8)
