"""Trains a head: reads the pictures, fits, tests it on what it was not shown, and says how it did. One thread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from streammon.detect.calibration import REVIEW_SCORE
from streammon.detect.fields import known_label
from streammon.detect.runtime.session import Session
from streammon.detect.scenes.embedding import Embedder
from streammon.detect.scenes.heads import HeadFile
from streammon.detect.scenes.training.assessment import Assessment, suggested
from streammon.detect.scenes.training.fitting import (
    check_installed,
    fitted,
    held_out_values,
    slope_of,
)
from streammon.detect.scenes.training.material import Material, Progress, read_material
from streammon.errors import TrainingRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A picture that was judged wrongly while it was held out. `score` 0..1, 0.7 the threshold."""

    file: Path
    positive: bool
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A head, how it did on held-out pictures, and what it got wrong there, the worst first."""

    head: HeadFile
    assessment: Assessment
    mistakes: tuple[Mistake, ...]


def train(label: str, folders: tuple[Path, Path], session: Session, *, precision: float, progress: Progress) -> Trained:
    """A head for `label` from a folder of positive and one of negative pictures.

    Its threshold is the one that finds most while at least `precision` (0..1) of what it finds is right. Raises
    TrainingRefused, which tells all that is wrong.
    """
    problems = [f"{folder}: is no folder" for folder in folders if not folder.is_dir()]
    try:
        known_label(label)
    except ValueError as error:
        problems.insert(0, f"{label!r} {error}")
    if problems:
        raise TrainingRefused("\n".join(problems))
    check_installed()
    return _trained(label, read_material(*folders, Embedder(session), progress), session, precision)


def _trained(label: str, material: Material, session: Session, precision: float) -> Trained:
    values = held_out_values(material)
    slope = slope_of(values, material.positive)
    assessment = suggested(values, material.positive, precision)
    # The threshold comes out as REVIEW_SCORE; how fast scores rise from there is what the held-out pictures say.
    offset = math.log(REVIEW_SCORE / (1 - REVIEW_SCORE)) - slope * assessment.threshold
    line = fitted(material, np.arange(len(material.files))).scaled(slope, offset)
    head = HeadFile(
        version=1, label=label, model=session.name, model_sha256=session.sha256,
        weights=line.weights.astype("<f4").tobytes(), bias=line.bias,
        positives=int(material.positive.sum()), negatives=int((~material.positive).sum()),
        precision=assessment.precision.value, recall=assessment.recall.value,
    )  # fmt: skip
    scores = 1 / (1 + np.exp(-(slope * values + offset)))
    return Trained(head=head, assessment=assessment, mistakes=_mistakes(material, scores))


def _mistakes(material: Material, scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[Mistake, ...]:
    wrong = np.flatnonzero((scores >= REVIEW_SCORE) != material.positive)
    worst = wrong[np.argsort(-np.abs(scores[wrong] - REVIEW_SCORE), kind="stable")]
    return tuple(
        Mistake(file=material.files[n], positive=bool(material.positive[n]), score=float(scores[n])) for n in worst
    )


def encoded(head: HeadFile) -> bytes:
    """The head as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(head))
