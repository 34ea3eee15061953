"""How many known pictures are found again after what streams do to them, and how many others are taken for one.

Of the benign pictures of EVAL_DIR: 60 of the reported half are enrolled, changed and looked for, and none of its others
may be found. Public figures are left out, since the set has several copies and cuts of the same few portraits. The
thresholds were set on the other half.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streammon.detect.pictures.finder import PictureFinder
from streammon.detect.pictures.fingerprint import DEFAULTS, MODEL, blank, fingerprint
from streammon.entities import Image
from streammon.errors import LibraryError
from streammon.library.listing import Entry, Kind, Listing, with_photos
from streammon.library.read_picture import read_picture
from tests.benchmarks.accuracy.halves import held_out, items, told

Figures = dict[str, object]
Change = Callable[[Image, np.random.Generator], Image]

_ENROLLED = 60
_SEED = 11
_WIDTH, _HEIGHT = 1280, 720
_COPIED = "public_figure"
_COPY = "normal_213.jpg"
"""A cut of scene_037.jpg, which it was found as: the same photograph of an office."""


def measure(eval_dir: Path | None) -> Figures:
    """Recall by change, false matches with their number of pictures, and core-ms per 720p frame."""
    if eval_dir is None:
        return {"picture_recall": None, "picture_false": None, "picture_n": 0}
    folder = eval_dir / "benign"
    paths = [folder / item["file"] for item in items(folder) if held_out(item["file"]) and _of_its_own(item)]
    order = np.random.default_rng(_SEED).permutation(len(paths))
    return _of([paths[index] for index in order])


def _of_its_own(item: Mapping[str, Any]) -> bool:
    return _COPIED not in item["tags"] and Path(item["file"]).name != _COPY


def _of(paths: Sequence[Path]) -> Figures:
    listing, enrolled = _enrolled(paths)
    others = {path: read_picture(path) for path in paths if path not in enrolled}
    finder = PictureFinder([listing])
    recall = {name: _recall(name, finder, enrolled, change) for name, change in changes(list(others.values())).items()}
    wrong = [path.name for path, image in others.items() if _names(finder, image)]
    print(f"{told(len(wrong), len(others))} others taken for one: {', '.join(wrong) or '-'}")
    return {
        "picture_recall": recall,
        "picture_false": len(wrong),
        "picture_n": len(enrolled),
        "picture_others": len(others),
        **_cost(finder, [_frame(image) for image in list(others.values())[:40]]),
    }


def _enrolled(paths: Sequence[Path]) -> tuple[Listing, dict[Path, Image]]:
    listing = Listing(
        name="known", kind=Kind.IMAGES, label="politics.flag", thresholds=DEFAULTS, model=MODEL, entries=(),
        arrays=blank(),
    )  # fmt: skip
    enrolled: dict[Path, Image] = {}
    for path in paths:
        if len(enrolled) == _ENROLLED:
            break
        image = read_picture(path)
        try:
            rows = fingerprint(image)
        except LibraryError as error:
            print(f"{path.name}: {error}")
            continue
        entry = Entry(id=path.name, name=path.name, photos=1, added_at=datetime(2026, 1, 1, tzinfo=UTC))
        listing, enrolled[path] = with_photos(listing, entry, rows), image
    return listing, enrolled


def _recall(name: str, finder: PictureFinder, enrolled: Mapping[Path, Image], change: Change) -> float:
    draw = np.random.default_rng(_SEED)
    found = sum(path.name in _names(finder, change(image, draw)) for path, image in enrolled.items())
    print(f"{name}: {told(found, len(enrolled))}")
    return round(found / len(enrolled), 4)


def _names(finder: PictureFinder, image: Image) -> set[str]:
    return {sighting.match.entry.id for sighting in finder.find(_bounded(image))}


def _cost(finder: PictureFinder, frames: Sequence[Image]) -> Figures:
    figures: Figures = {}
    for key, parts in (("picture_core_ms", True), ("picture_core_ms_whole_only", False)):
        finder.find(frames[0], parts=parts)
        start_s = time.process_time()
        for frame in frames:
            finder.find(frame, parts=parts)
        figures[key] = round((time.process_time() - start_s) * 1000 / len(frames), 1)
    return figures


def changes(backgrounds: Sequence[Image]) -> dict[str, Change]:
    """By name; each is given a picture and a source of chance."""

    def among(image: Image, share: float, draw: np.random.Generator) -> Image:
        return _jpeg(_part(image, _frame(backgrounds[int(draw.integers(len(backgrounds)))]), share, draw), 60)

    return {
        "scale_0.3": lambda image, _: _scaled(image, 0.3),
        "scale_1.5": lambda image, _: _scaled(image, 1.5),
        "jpeg_30": lambda image, _: _jpeg(image, 30),
        "crop_10": lambda image, draw: _cropped(image, 0.1, draw),
        "text": _written_on,
        "dark": lambda image, _: _lit(image, 0.6),
        "light": lambda image, _: _lit(image, 1.4),
        "mirrored": lambda image, _: np.ascontiguousarray(image[:, ::-1]),
        "all": lambda image, draw: _jpeg(
            _lit(_written_on(_cropped(_scaled(image, draw.uniform(0.5, 1)), 0.1, draw), draw), draw.uniform(0.7, 1.3)),
            30,
        ),
        "quarter_of_frame": lambda image, draw: among(image, 0.25, draw),
        "tenth_of_frame": lambda image, draw: among(image, 0.1, draw),
        "quarter_with_text": lambda image, draw: _written_on(among(image, 0.25, draw), draw),
    }


def _scaled(image: Image, by: float) -> Image:
    size = (max(8, round(image.shape[1] * by)), max(8, round(image.shape[0] * by)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if by < 1 else cv2.INTER_LINEAR).astype(np.uint8)


def _bounded(image: Image) -> Image:
    """As the sampler hands frames on: the longest side is 1280 px at most."""
    return _scaled(image, _WIDTH / max(image.shape)) if max(image.shape) > _WIDTH else image


def _frame(image: Image) -> Image:
    return cv2.resize(image, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _jpeg(image: Image, quality: int) -> Image:
    _, written = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(written, cv2.IMREAD_COLOR), np.uint8)


def _cropped(image: Image, share: float, draw: np.random.Generator) -> Image:
    height, width = (round(side * (1 - share)) for side in image.shape[:2])
    top, left = draw.integers(0, image.shape[0] - height + 1), draw.integers(0, image.shape[1] - width + 1)
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _lit(image: Image, by: float) -> Image:
    return (image.astype(np.float32) * by).clip(0, 255).astype(np.uint8)


def _written_on(image: Image, draw: np.random.Generator) -> Image:
    """Six lines of letters, each a twentieth of the height, that begin anywhere."""
    out, height, width = image.copy(), image.shape[0], image.shape[1]
    for row in range(6):
        letters = "".join(draw.choice(list("ABCDEFGHKLMNOPRSTUVW 0123456789"), 22))
        at = (int(draw.uniform(-0.2, 0.5) * width), (row + 1) * height // 7)
        colour = tuple(int(part) for part in draw.integers(128, 256, 3))
        size = height / 14 / 22
        cv2.putText(out, letters, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, max(1, round(size * 2)), cv2.LINE_AA)
    return out


def _part(image: Image, frame: Image, share: float, draw: np.random.Generator) -> Image:
    """`frame` with the picture over `share` of its area, as far as it fits, anywhere."""
    ratio = image.shape[1] / image.shape[0]
    height = min((_WIDTH * _HEIGHT * share / ratio) ** 0.5, 0.98 * _HEIGHT, 0.98 * _WIDTH / ratio)
    size = (round(height * ratio), round(height))
    left, top = draw.integers(0, _WIDTH - size[0] + 1), draw.integers(0, _HEIGHT - size[1] + 1)
    out = frame.copy()
    out[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return out
