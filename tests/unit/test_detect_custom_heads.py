"""YOLO heads against a plain reference, on many random boxes that overlap."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streammon.detect.custom.classes import Classes
from streammon.detect.custom.found import Head
from streammon.detect.custom.heads import V5, V8, Boxes
from streammon.detect.custom.yolo_choice import choose_yolo

FLOOR = np.array([0.3, 0.5, np.inf], np.float32)
CLASSES = Classes(names=("a", "b", "c"), labels={0: "x", 1: "y"}, floor=FLOOR)
BOXES = Boxes(classes=CLASSES, unit=(1.0, 1.0), most=1000, sigmoid=False, nms_iou=0.45)


def iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(sides.clip(0)))
    return shared / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - shared)


def reference(centred: NDArray[np.float32], scores: NDArray[np.float32]) -> list[tuple[int, float]]:
    """Class and score of each box that stays, the surest first: one comparison after the other."""
    kept: list[tuple[int, float, NDArray[np.float32]]] = []
    for at in np.argsort(-scores.max(axis=1), kind="stable"):
        number, score = int(scores[at].argmax()), float(scores[at].max())
        half = centred[at, 2:] / 2
        corners = np.concatenate([centred[at, :2] - half, centred[at, :2] + half])
        rival = any(number == other and iou(corners, box) > 0.45 for other, _, box in kept)
        if score >= FLOOR[number] and not rival:
            kept.append((number, score, corners))
    return [(number, score) for number, score, _ in kept]


@pytest.mark.parametrize("seed", range(5))
def test_raw_heads_agree_with_the_reference(seed: int) -> None:
    random = np.random.default_rng(seed)
    centred = random.uniform(10, 60, (300, 4)).astype(np.float32)
    scores = random.uniform(0, 1, (300, 3)).astype(np.float32)
    v8: Head = V8(boxes=BOXES)
    v5: Head = V5(boxes=BOXES)
    sure = np.ones((300, 1), np.float32)
    expected = reference(centred, scores)
    assert 5 < len(expected) < 150
    for head, output in (
        (v8, np.concatenate([centred, scores], axis=1).T[None]),
        (v5, np.concatenate([centred, sure, scores], axis=1)[None]),
    ):
        (found,) = head.read([output], 1)
        assert list(zip(found.classes.tolist(), found.scores.tolist(), strict=True)) == expected


def test_efficient_nms_is_known_by_its_outputs_in_any_order() -> None:
    corners = np.array([[[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 9, 9]]], np.float32)
    outputs = [np.array([[1, 0, 0]], np.int32), np.array([[2]], np.int32), corners, np.array([[0.9, 0.8, 0.7]])]
    head = choose_yolo("auto", ("classes", "num", "boxes", "scores"), outputs, BOXES, "detect.custom.mine")
    (found,) = head.read(outputs, 1)
    assert found.classes.tolist() == [1, 0]
    assert found.corners is not None
    assert found.corners.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
