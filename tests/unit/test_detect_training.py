"""How a head is judged, which pictures are one, and the sheet of mistakes: all that needs no scikit-learn."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from streammon.detect.scenes.heads import HeadFile
from streammon.detect.scenes.training.assessment import Share, assessed, suggested
from streammon.detect.scenes.training.head import Mistake, encoded
from streammon.detect.scenes.training.material import motifs_of, print_of
from streammon.detect.scenes.training.sheet import error_sheet
from tests.unit.training_pictures import motif, save


def test_nearly_equal_pictures_are_one_motif_and_others_are_not() -> None:
    one = motif(1, red=60)
    small = np.asarray(cv2.resize(one, (64, 48), interpolation=cv2.INTER_AREA))
    bright = np.asarray(cv2.convertScaleAbs(one, alpha=1.1, beta=8))
    prints = np.array([print_of(np.asarray(image, np.uint8)) for image in (one, motif(2, red=60), small, bright)])
    assert motifs_of(prints).tolist() == [0, 1, 0, 0]


def test_pictures_that_are_alike_by_way_of_others_are_one_motif() -> None:
    first, second, third, fourth, other = 0, 0x1F, 0x3FF, 0x7FFF, 0xFFFF << 40
    prints = np.array([first, fourth, other, second, third], np.uint64)
    assert motifs_of(prints).tolist() == [0, 0, 2, 0, 0]


def test_the_suggested_threshold_is_precise_where_one_is() -> None:
    random = np.random.default_rng(5)
    for _ in range(300):
        scores = random.integers(-5, 5, random.integers(4, 40)).astype(float)
        positive, wanted = random.random(len(scores)) < 0.5, random.uniform(0.5, 1)
        chosen = suggested(scores, positive, wanted)
        reachable = max(assessed(scores, positive, score).precision.value for score in scores.tolist())
        assert chosen.precision.value >= min(wanted, reachable)
        assert chosen == assessed(scores, positive, chosen.threshold)


def test_of_thresholds_that_are_precise_the_one_that_finds_most_is_taken() -> None:
    scores = np.array([1.0, 2, 3, 4, 5, 6])
    positive = np.array([False, True, False, True, True, True])
    assert suggested(scores, positive, 1.0).threshold == 3.5
    assert suggested(scores, positive, 0.8).threshold == 1.5
    assert suggested(scores, ~positive, 0.9).precision == Share(hits=2, n=6)


@pytest.mark.parametrize(("hits", "n", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.278), (9, 10, 0.596, 0.982)])
def test_the_interval_is_wilsons(hits: int, n: int, low: float, high: float) -> None:
    assert Share(hits=hits, n=n).interval == pytest.approx((low, high), abs=1e-3)


def test_a_sheet_holds_the_worst_and_none_is_a_sheet_too(tmp_path: Path) -> None:
    assert error_sheet([]).shape == (182, 1280, 3)
    odd = save(tmp_path, "long.png", np.full((1, 3000, 3), 200, np.uint8))
    assert error_sheet([Mistake(file=odd, positive=n % 2 == 0, score=0.5) for n in range(60)]).shape == (1092, 1280, 3)


def test_a_heads_file_is_small_json() -> None:
    head = HeadFile(
        version=1, label="values.tattoo", model="net", model_sha256="0" * 64, weights=bytes(5120), bias=0.0,
        positives=20, negatives=20, precision=1.0, recall=1.0,
    )  # fmt: skip
    assert msgspec.json.decode(encoded(head), type=HeadFile) == head
