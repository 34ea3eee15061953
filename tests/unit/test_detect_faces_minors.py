"""From ages to labels and scores, and what they come to with a sexual hit under the shipped policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streammon.detect.faces.minors import GROUPS, minor_scores
from streammon.entities import Detection, Source
from streammon.judge.policy_load import load_policy
from tests.unit.face_models import years
from tests.unit.judging import ADULT, judge_by, look, now, picture

POLICY = Path(__file__).parents[2] / "configs" / "policies" / "live-default.yaml"
CHILD = "pornography.child"


@pytest.mark.parametrize(
    ("ages", "label"),
    [
        (years(y0=0.3, y1=0.3, y30=0.4), "minors.infant"),
        (years(y2=1.0), "minors.infant"),
        (years(y3=1.0), "minors.child"),
        (years(y12=1.0), "minors.child"),
        (years(y13=1.0), "minors.teenager"),
        (years(y17=1.0), "minors.teenager"),
    ],
)
def test_each_age_has_its_group(ages: np.ndarray, label: str) -> None:
    assert list(minor_scores(ages)) == [label]


def test_nobody_is_a_minor_at_18() -> None:
    assert minor_scores(years(y18=0.7, y40=0.3)) == {}


@pytest.mark.parametrize(
    ("share", "score"), [(0.2, 0.3), (0.4, 0.6), (0.55, 0.7), (0.7, 0.8), (1.0, 0.95)]
)  # fmt: skip
def test_the_score_follows_how_likely_somebody_is_under_18(share: float, score: float) -> None:
    assert minor_scores(years(y6=share, y30=1 - share))["minors.child"] == pytest.approx(score, abs=1e-6)


def test_who_is_17_counts_and_who_is_18_does_not() -> None:
    assert minor_scores(years(y6=0.2, y17=0.8))["minors.teenager"] == pytest.approx(0.95, abs=1e-6)
    assert minor_scores(years(y6=0.2, y18=0.8)) == {"minors.child": pytest.approx(0.3, abs=1e-6)}


def test_between_two_groups_both_are_told_the_likelier_as_the_surer() -> None:
    # A year of a teenager weighs twice one of a child: there are five of them, and ten.
    scores = minor_scores(years(y12=0.48, y13=0.4, y40=0.12))
    assert scores["minors.teenager"] > scores["minors.child"] > 0.5
    assert "minors.infant" not in scores


@given(arrays(np.float32, 100, elements=st.floats(0, 1, width=32)))
def test_scores_are_scores_whatever_comes(ages: np.ndarray) -> None:
    scores = minor_scores(ages)
    assert set(scores) <= set(GROUPS)
    assert all(0 <= score <= 0.95 for score in scores.values())


def young(score: float, label: str) -> Detection:
    return Detection(detector="faces", model="faceres-age", source=Source.FACE, label=label, score=score)


@pytest.mark.parametrize(
    ("ages", "verdict"), [(years(y6=0.75, y30=0.25), "block"), (years(y6=0.36, y30=0.64), "review")]
)  # fmt: skip
def test_a_minor_and_a_sexual_hit_in_one_picture_are_child_pornography_and_not_kept(
    ages: np.ndarray, verdict: str
) -> None:
    judge = judge_by(load_policy(POLICY))
    told = [young(score, label) for label, score in minor_scores(ages).items()]
    events = judge.observe_frame([look(0, picture(0.95, ADULT)), look(0, *told, detector="faces")], now(0))
    (event,) = (event for event in events if event.label == CHILD)
    assert (event.verdict.value, event.severity) == (verdict, 5)
    assert judge.withholds, "no picture of it may be kept"


def test_an_adult_and_a_sexual_hit_are_not() -> None:
    judge = judge_by(load_policy(POLICY))
    told = [young(score, label) for label, score in minor_scores(years(y6=0.2, y30=0.8)).items()]
    events = judge.observe_frame([look(0, picture(0.95, ADULT)), look(0, *told, detector="faces")], now(0))
    assert CHILD not in {event.label for event in events}
    assert not judge.withholds
