"""Heads: labels of an operator's own, trained by `streammon train`, each a line through the embedding. Any thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from streammon.detect.custom.found import sigmoid
from streammon.detect.scenes.embedding import SIZE, Floats
from streammon.errors import HeadUnusable
from streammon.taxonomy import load_taxonomy

_LARGEST_BYTES = 1 << 20
_TYPE = np.dtype("<f4")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFile:
    """What a head's file holds, as JSON.

    A picture's score is `1 / (1 + e^-(weights · embedding + bias))`; 0.7 is the threshold that training suggested.
    `weights` are 1280 floats of 4 bytes. `model_sha256` is of the file of the net that the embedding comes from.
    `precision` and `recall`, 0..1, are at that threshold, of the pictures as they were held out in turn.
    """

    version: Literal[1]
    label: str
    model: str
    model_sha256: str
    weights: Annotated[bytes, Meta(min_length=4 * SIZE, max_length=4 * SIZE)]
    bias: float
    positives: int
    negatives: int
    precision: float
    recall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """All heads that run, side by side: names and labels, SIZE x n weights, n biases."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    weights: Floats
    biases: Floats

    def scores(self, embeddings: Floats) -> Floats:
        """N x heads, of N x 1280."""
        return sigmoid(embeddings @ self.weights + self.biases)


def load_heads(places: Sequence[Path], model_sha256: str) -> Heads:
    """Read heads from files, or folders in which every .json is one. A head is called by its file's name.

    Raises HeadUnusable, with the cure, for one that is not there, is no head, or was trained on another embedding.
    """
    files = [file for place in places for file in _files(place)]
    read = [_read(file, model_sha256) for file in files]
    return Heads(
        names=tuple(file.stem for file in files),
        labels=tuple(head.label for head in read),
        weights=np.stack([_weights(head) for head in read], axis=1) if read else np.empty((SIZE, 0), np.float32),
        biases=np.array([head.bias for head in read], np.float32),
    )


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    found = sorted(place.glob("*.json"))
    if not found:
        raise HeadUnusable(f"{place}: has no head in it; `streammon train` makes one")
    yield from found


def _read(file: Path, model_sha256: str) -> HeadFile:
    again = "train it again with `streammon train`"
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise HeadUnusable(f"{file}: is too large for a head; {again}")
        head = msgspec.json.decode(file.read_bytes(), type=HeadFile)
    except OSError as error:
        raise HeadUnusable(f"{file}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise HeadUnusable(f"{file}: is no head: {error}; {again}") from error
    if head.model_sha256 != model_sha256:
        raise HeadUnusable(f"{file}: was trained on another version of {head.model} than runs here; {again}")
    if head.label not in load_taxonomy().labels:
        raise HeadUnusable(f"{file}: its label {head.label!r} is not in the taxonomy; {again}")
    if not np.isfinite(_weights(head)).all():
        raise HeadUnusable(f"{file}: its weights are no numbers; {again}")
    return head


def _weights(head: HeadFile) -> NDArray[np.float32]:
    return np.frombuffer(head.weights, _TYPE).astype(np.float32)
