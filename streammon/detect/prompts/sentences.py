"""Sentences as vectors: computed by CLIP's text tower once, and kept on disk, so that it need not be loaded again.

Used by one thread, as a detector is built.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streammon.detect.runtime.session import Session
from streammon.errors import ModelCorrupt, ModelError

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
# CLIP's context. One shape for all sentences, as a provider may compile each; zeros fill it up, as OpenAI's code does.
_TOKENS = 77


def kept_vectors(
    sentences: Sequence[str], made_by: Sequence[str], folder: Path, encode: Callable[[Sequence[str]], Floats]
) -> Floats:
    """The sentences' vectors, n x d of length 1: those in `folder`, else those of `encode`, which are kept there.

    `made_by` are the sha256 of what `encode` runs: with another one, or other sentences, the vectors are others.
    """
    key = hashlib.sha256(json.dumps([*made_by, list(sentences)]).encode()).hexdigest()
    place = folder / f"{key}.npy"
    vectors = _read(place, len(sentences))
    if vectors is None:
        vectors = encode(sentences)
        _keep(vectors, place)
    return vectors


def read_vectors(path: Path) -> Floats:
    """An .npy file of n x d numbers, each row of length 1. Raises ModelCorrupt; nothing in it is unpickled."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelCorrupt(f"{path} cannot be read as vectors: {error}") from error
    if vectors.ndim != 2 or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise ModelCorrupt(f"{path}: should be float32 numbers, n x d; it is {vectors.dtype}, {vectors.shape}")
    return unit(vectors)


def encode(session: Session, tokenizer_file: Path, sentences: Sequence[str]) -> Floats:
    """By the text tower and its tokenizer, n x d of length 1. Raises ModelError where the tower does not run."""
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ModelError("sentences need the package tokenizers: pip install 'streammon[prompts]'") from error
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_TOKENS)
    return np.concatenate([_encoded(session, tokenizer.encode(text).ids) for text in sentences])


def unit(vectors: Floats) -> Floats:
    """Each row brought to the length 1. Raises ModelError where one has none."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ModelError("vectors without a length: the model gave what is no number")
    brought: Floats = (vectors / lengths).astype(np.float32, copy=False)
    return brought


def embeddings(session: Session, outputs: Sequence[NDArray[np.float32]], count: int) -> Floats:
    """Of a tower's outputs the one that is N x d, each row of length 1: others are per patch or word."""
    found = [output for output in outputs if output.ndim == 2 and len(output) == count]
    if len(found) != 1:
        shapes = ", ".join(" x ".join(map(str, output.shape)) for output in outputs)
        raise ModelError(f"{session.name}: has no single output of {count} vectors, but {shapes}")
    return unit(found[0])


def _encoded(session: Session, tokens: Sequence[int]) -> Floats:
    given = np.zeros((2, 1, _TOKENS), np.int64)
    given[0, 0, : len(tokens)] = tokens
    given[1, 0, : len(tokens)] = 1
    # Some exports also take which tokens count.
    return embeddings(session, session.run(dict(zip(session.input_names, given, strict=False))), 1)


def _read(place: Path, count: int) -> Floats | None:
    if not place.exists():
        return None
    try:
        vectors = read_vectors(place)
    except ModelError as error:
        log.warning("kept vectors are made anew: %s", error)
        return None
    return vectors if len(vectors) == count else None


def _keep(vectors: Floats, place: Path) -> None:
    """A monitor whose models' folder cannot be written to makes them at each start."""
    half = place.with_suffix(f".{os.getpid()}")
    try:
        place.parent.mkdir(exist_ok=True)
        with half.open("wb") as out:
            np.save(out, vectors)
        half.replace(place)
    except OSError as error:
        log.warning("vectors of sentences cannot be kept: %s", error)
        with contextlib.suppress(OSError):
            half.unlink()
