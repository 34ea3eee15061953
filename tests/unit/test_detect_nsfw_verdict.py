"""What two voices say together: bounds, order, and the cases that the thresholds of the default policy stand on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.detect.nsfw.verdict import ADULT, CARTOON, LABELS, SEXY_CARTOON, VULGAR, Shares, verdict

REVIEW, BLOCK = 0.7, 0.9  # of pornography in configs/policies/live-default.yaml
UNIT = st.floats(0, 1)
RARE = 1e-9
quick = settings(max_examples=100, deadline=None)


def shares(*, drawing: float = 0, hentai: float = 0, porn: float = 0, sexy: float = 0) -> Shares:
    """The rest is neutral."""
    neutral = max(0.0, 1 - drawing - hentai - porn - sexy)
    return Shares(drawing=drawing, hentai=hentai, neutral=neutral, porn=porn, sexy=sexy)


@st.composite
def any_shares(draw: st.DrawFn) -> Shares:
    weights = [draw(st.floats(0.001, 1)) for _ in range(5)]
    drawing, hentai, neutral, porn, sexy = (weight / sum(weights) for weight in weights)
    return Shares(drawing=drawing, hentai=hentai, neutral=neutral, porn=porn, sexy=sexy)


@quick
@given(any_shares(), st.none() | UNIT)
def test_scores_are_probabilities_of_labels_that_are_known(first: Shares, second: float | None) -> None:
    said = verdict(first, second)
    assert said.keys() <= LABELS
    assert all(0 <= score <= 1 for score in said.values())
    assert not (VULGAR in said and (CARTOON in said or SEXY_CARTOON in said))


@quick
@given(any_shares(), UNIT, UNIT)
def test_no_score_falls_as_the_second_voice_becomes_surer(first: Shares, one: float, other: float) -> None:
    less, more = verdict(first, min(one, other)), verdict(first, max(one, other))
    assert less.keys() == more.keys()
    assert all(less[label] <= more[label] + RARE for label in less)


@quick
@given(any_shares(), UNIT, st.none() | UNIT, st.sampled_from(["hentai", "porn", "sexy"]))
def test_no_score_falls_as_the_first_voice_becomes_surer(
    before: Shares, moved: float, second: float | None, to: str
) -> None:
    """What it moves to Hentai it takes from Drawing, so that what is drawn stays so; the rest it takes from Neutral."""
    of = "drawing" if to == "hentai" else "neutral"
    share = moved * getattr(before, of)
    parts = {name: getattr(before, name) for name in ("drawing", "hentai", "neutral", "porn", "sexy")}
    after = Shares(**{**parts, of: parts[of] - share, to: parts[to] + share})
    if after.drawn == before.drawn:  # else by a rounding error
        less, more = verdict(before, second), verdict(after, second)
        assert all(less[label] <= more[label] + RARE for label in less)


@quick
@given(any_shares(), UNIT)
def test_a_photograph_is_blocked_only_where_both_voices_are_sure(first: Shares, second: float) -> None:
    if verdict(first, second)[ADULT] >= BLOCK:
        assert min(first.explicit, second) >= 0.81 - RARE


@quick
@given(st.floats(0.9, 1), st.floats(0.9, 1))
def test_a_confident_yes_of_both_is_a_block(porn: float, second: float) -> None:
    assert verdict(shares(porn=porn), second)[ADULT] >= BLOCK - RARE


@quick
@given(any_shares())
def test_one_voice_alone_never_blocks_under_the_default_policy(first: Shares) -> None:
    assert max(verdict(first, None).values()) < BLOCK
    assert max(verdict(first, 0.0).values()) < BLOCK
    if first.drawn:
        assert max(verdict(first, 1.0).values()) < BLOCK


@pytest.mark.parametrize(
    ("porn", "second", "low", "high"),
    [
        (0.5, 0.99, REVIEW, BLOCK),  # a close-up that nsfwjs is in doubt of
        (0.99, 0.5, REVIEW, BLOCK),
        (0.0, 0.99, REVIEW, BLOCK),  # certain, against the other: a look by people, no more
        (0.99, 0.0, REVIEW, BLOCK),
        (0.0, 0.95, 0.0, REVIEW),
        (0.9, 0.02, 0.0, REVIEW),  # the portraits that nsfwjs takes for pornography
        (0.6, 0.6, 0.0, REVIEW),
        (0.95, 0.95, BLOCK, 1.0),
    ],
)
def test_what_agreement_and_disagreement_come_to(porn: float, second: float, low: float, high: float) -> None:
    assert low <= verdict(shares(porn=porn), second)[ADULT] < high


def test_a_picture_between_porn_and_sexy_does_not_fall_between_the_two() -> None:
    said = verdict(shares(porn=0.45, sexy=0.5), 0.9)
    assert said[ADULT] >= REVIEW
    assert said[VULGAR] >= 0.8


def test_clear_pornography_is_not_sexy_too() -> None:
    assert verdict(shares(porn=0.9, sexy=0.05), 0.95)[VULGAR] < 0.5


def test_swimwear_that_the_second_voice_does_not_deny_is_sexy_and_no_pornography() -> None:
    said = verdict(shares(sexy=0.9), 0.25)
    assert said[VULGAR] == pytest.approx(math.sqrt(0.9))
    assert said[ADULT] < 0.5
    assert verdict(shares(sexy=0.9), 0.001)[VULGAR] < 0.1


def test_a_drawing_is_judged_by_the_first_voice_whatever_the_second_makes_of_it() -> None:
    surely = verdict(shares(drawing=0.1, hentai=0.9), 0.0)
    assert surely[CARTOON] >= REVIEW
    assert surely[CARTOON] == verdict(shares(drawing=0.1, hentai=0.9), 1.0)[CARTOON]
    assert verdict(shares(drawing=0.95), 0.0)[CARTOON] == 0
