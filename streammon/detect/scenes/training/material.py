"""What a head learns from: two folders of pictures, as embeddings, and which of them nearly are the same picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streammon.detect.scenes.embedding import Embedder, Floats, placed
from streammon.entities import Image
from streammon.errors import PictureUnreadable, TrainingRefused
from streammon.library.read_picture import read_picture

LEAST = 20
"""Pictures of each kind: with fewer, an interval of 95 % says nothing."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
_BATCH = 16
# Bits of 64 in which two prints of one motif differ at most: other sizes and qualities of a picture differ in 0 to 4.
_ALIKE_BITS = 5

Progress = Callable[[int, int], None]
"""Called with how many pictures are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """n pictures: their files, n x 1280 embeddings as they are and mirrored, whether each is positive, and its motif.

    Pictures that look nearly the same have one number in `motifs`.
    """

    files: tuple[Path, ...]
    embeddings: Floats
    mirrored: Floats
    positive: NDArray[np.bool_]
    motifs: NDArray[np.intp]


def read_material(positive: Path, negative: Path, embedder: Embedder, progress: Progress) -> Material:
    """All pictures of two folders and of the folders within them.

    Raises TrainingRefused with all that is wrong: too few, files that are no pictures, a motif in both folders.
    """
    kinds = [(folder, _files(folder)) for folder in (positive, negative)]
    problems = [
        f"{folder}: has {len(files)} pictures; at least {LEAST} are needed"
        for folder, files in kinds
        if len(files) < LEAST
    ]
    files = [file for _, found in kinds for file in found]
    read, prints = _embedded(files, embedder, progress, problems)
    if problems:
        raise TrainingRefused("\n".join(problems))
    is_positive = np.arange(len(files)) < len(kinds[0][1])
    motifs = motifs_of(prints)
    if shared := sorted(set(motifs[is_positive]) & set(motifs[~is_positive])):
        raise TrainingRefused("\n".join(_in_both(files, is_positive, motifs == motif) for motif in shared))
    return Material(files=tuple(files), embeddings=read[0::2], mirrored=read[1::2], positive=is_positive, motifs=motifs)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())


def _embedded(
    files: Sequence[Path], embedder: Embedder, progress: Progress, problems: list[str]
) -> tuple[Floats, NDArray[np.uint64]]:
    """The embeddings, each followed by its mirror image's, and the prints; files that are no pictures to `problems`."""
    embeddings: list[Floats] = []
    prints: list[int] = []
    for start in range(0, len(files), _BATCH):
        shown = [placed(image) for image in _readable(files[start : start + _BATCH], problems)]
        prints += [print_of(image) for image in shown]
        pairs = [view for image in shown for view in (image, np.ascontiguousarray(image[:, ::-1]))]
        embeddings.append(embedder.run(pairs)[1])
        progress(min(start + _BATCH, len(files)), len(files))
    joined = np.concatenate(embeddings) if embeddings else np.empty((0, 0), np.float32)
    return joined, np.array(prints, np.uint64)


def _readable(files: Sequence[Path], problems: list[str]) -> Iterator[Image]:
    for file in files:
        try:
            yield read_picture(file)
        except PictureUnreadable as error:
            problems.append(str(error))


def _in_both(files: Sequence[Path], is_positive: NDArray[np.bool_], of_motif: NDArray[np.bool_]) -> str:
    one, other = (int(np.flatnonzero(of_motif & kind)[0]) for kind in (is_positive, ~is_positive))
    return f"{files[one]} and {files[other]}: look the same, but one is positive and one negative; remove one"


def print_of(image: Image) -> int:
    """64 bits of which each says whether one part of the picture is brighter than the next along its row (dHash)."""
    cells = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits((cells[:, 1:] > cells[:, :-1]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def motifs_of(prints: NDArray[np.uint64]) -> NDArray[np.intp]:
    """A number per picture; those whose prints are nearly the same, directly or by way of others, share theirs."""
    motifs = np.arange(len(prints))
    for number, one in enumerate(prints):
        alike = np.bitwise_count(prints[number:] ^ one) <= _ALIKE_BITS
        joined = np.unique(motifs[number:][alike])
        motifs[np.isin(motifs, joined)] = joined[0]
    return motifs
