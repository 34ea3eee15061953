"""Fits a line through embeddings by logistic regression, with scikit-learn, which is imported only when needed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.detect.scenes.embedding import Floats
from streammon.detect.scenes.training.material import Material
from streammon.errors import TrainingRefused

_FOLDS = 5
# How little the weights are held back. On fire against ordinary pictures, the half tuned on, 0.0001 to 1 by tens
# give an average precision of 0.94, 0.97, 0.99, 0.99, 0.99. Mirror images add up to 0.01 where it is smaller.
_C = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`weights · embedding + bias`: above 0 rather positive."""

    weights: NDArray[np.float64]
    bias: float

    def values(self, embeddings: Floats) -> NDArray[np.float64]:
        """n, of n x 1280."""
        found: NDArray[np.float64] = embeddings.astype(np.float64) @ self.weights + self.bias
        return found

    def scaled(self, slope: float, offset: float) -> Line:
        """`slope * value + offset`, as a line."""
        return Line(weights=self.weights * slope, bias=self.bias * slope + offset)


def fitted(material: Material, chosen: NDArray[np.intp]) -> Line:
    """Learnt from the chosen pictures and their mirror images; both kinds weigh the same, however many there are."""
    features = np.concatenate([material.embeddings[chosen], material.mirrored[chosen]]).astype(np.float64)
    positive = np.tile(material.positive[chosen], 2)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread == 0] = 1.0
    regression = _sklearn("linear_model").LogisticRegression(C=_C, class_weight="balanced", max_iter=1000)
    regression.fit((features - mean) / spread, positive)
    weights = regression.coef_[0] / spread
    return Line(weights=weights, bias=float(regression.intercept_[0] - weights @ mean))


def held_out_values(material: Material) -> NDArray[np.float64]:
    """What lines say of the pictures that they were not fitted on: a motif is on one side.

    Raises TrainingRefused where a kind has fewer motifs than there are parts.
    """
    for name, kind in (("positive", material.positive), ("negative", ~material.positive)):
        motifs = len(np.unique(material.motifs[kind]))
        if motifs < _FOLDS:
            raise TrainingRefused(
                f"the {name} pictures show {motifs} motifs, nearly the same again and again; add others"
            )
    folds = _sklearn("model_selection").StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    values = np.empty(len(material.files))
    for chosen, others in folds.split(material.embeddings, material.positive, material.motifs):
        values[others] = fitted(material, chosen).values(material.embeddings[others])
    return values


def slope_of(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """By how much the log-odds of being positive rise with the value, as it was held out (Platt 1999).

    Raises TrainingRefused where they do not rise.
    """
    regression = _sklearn("linear_model").LogisticRegression().fit(values[:, None], positive)
    slope = float(regression.coef_[0, 0])
    if not slope > 0:
        raise TrainingRefused("the positive and the negative pictures cannot be told apart; add more, or clearer ones")
    return slope


def check_installed() -> None:
    """Raises TrainingRefused, with the cure, where scikit-learn is not installed."""
    _sklearn("linear_model")


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise TrainingRefused("training needs scikit-learn: `pip install 'streammon[train]'`") from error
