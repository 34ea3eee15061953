"""The comparison of a model on trial with the current one: who saw what, how surely, and what it took."""

from __future__ import annotations

import pytest

from streammon.detect.scheduling.request import Cost
from streammon.detect.shadow.comparison import Comparison
from streammon.detect.shadow.report import LabelCompared, TextCompared
from streammon.entities import Detection, Observation
from tests.unit.judging import ADULT, CODE, line, look, picture

SPENT = (Cost(cpu_s=0.01, provider_s=0.02), Cost(cpu_s=0.03, provider_s=0.04))


def seen(*detections: Detection) -> Observation:
    return look(0, *detections, labels=[ADULT])


def read(*texts: str) -> Observation:
    return look(0, *map(line, texts), detector="ocr", labels=[])


def test_labels_are_counted_by_who_saw_them() -> None:
    comparison = Comparison()
    for before, after in ((0.9, 0.8), (0.7, 0.2), (0.1, 0.5), (0.3, 0.4)):
        comparison.add(seen(picture(before, ADULT)), seen(picture(after, ADULT)), SPENT)
    told = comparison.compared()
    assert told.frames == 4
    (one,) = told.labels.values()
    assert (one.both, one.only_current, one.only_candidate) == (1, 1, 1)
    assert (one.mean_difference, one.max_difference) == pytest.approx((0.275, 0.5))


def test_what_is_not_seen_has_the_score_0_and_of_several_the_surest_counts() -> None:
    comparison = Comparison()
    comparison.add(seen(), seen(picture(0.2, ADULT), picture(0.6, ADULT)), SPENT)
    assert comparison.compared().labels[ADULT] == LabelCompared(
        only_candidate=1, mean_difference=0.6, max_difference=0.6
    )


def test_a_label_that_only_one_of_them_knows_is_compared_too() -> None:
    comparison = Comparison()
    comparison.add(look(0, labels=[ADULT]), look(0, labels=[CODE]), SPENT)
    assert set(comparison.compared().labels) == {ADULT, CODE}


def test_lines_of_text_are_counted_and_not_kept() -> None:
    comparison = Comparison()
    comparison.add(read("Call me", "加微信", "加微信"), read("call  ME", "加微信", "other"), SPENT)
    assert comparison.compared().text == TextCompared(both=2, only_current=1, only_candidate=1)
    assert "微信" not in repr(vars(comparison))


def test_the_cost_is_told_per_frame_and_nothing_is_told_of_no_frames() -> None:
    comparison = Comparison()
    assert comparison.compared().frames == 0
    for _ in range(2):
        comparison.add(seen(), seen(), SPENT)
    comparison.passed_over()
    comparison.failed()
    told = comparison.compared()
    assert (told.current.cpu_s, told.current.provider_s) == pytest.approx((0.01, 0.02))
    assert (told.candidate.cpu_s, told.candidate.provider_s) == pytest.approx((0.03, 0.04))
    assert (told.passed_over, told.failed) == (1, 1)
