"""One text of several readings, of which some saw a part: what all say, never more than they say, in whatever order."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.detect.text.voting import Reading, alike, folded, voted

TEXTS = st.text(alphabet="加微信领福利abc123 ！", min_size=1, max_size=12)
READINGS = st.builds(
    Reading, text=TEXTS, score=st.floats(0.5, 1.0), cut_left=st.booleans(), cut_right=st.booleans()
)  # fmt: skip


def whole(text: str, score: float = 0.95) -> Reading:
    return Reading(text=text, score=score)


def beginning(text: str, score: float = 0.95) -> Reading:
    """The line goes on at the right, out of the picture."""
    return Reading(text=text, score=score, cut_right=True)


def end(text: str, score: float = 0.95) -> Reading:
    return Reading(text=text, score=score, cut_left=True)


def test_without_readings_there_is_no_text() -> None:
    assert voted([]) == ""


def test_the_majority_says_each_character() -> None:
    read = [whole("加V信 abc12345"), whole("加V倍 abc12345"), whole("加V信 abc1Z345")]
    assert voted(read) == "加V信 abc12345"


def test_of_two_the_surer_is_believed() -> None:
    assert voted([whole("nice sang!", 0.8), whole("nice song!", 0.97)]) == "nice song!"


def test_one_that_is_sure_outweighs_two_that_are_not() -> None:
    assert voted([whole("735201846", 0.99), whole("735207846", 0.55), whole("735207846", 0.55)]) == "735201846"


def test_a_part_that_was_left_out_in_the_middle_is_there_where_another_reading_has_it() -> None:
    read = [whole("主播试穿一下黑色", 1.0), whole("主播试穿黑色的", 0.98), whole("主播试穿一下黑色的", 0.96)]
    assert voted(read) == "主播试穿一下黑色的"


def test_what_is_cut_off_takes_nothing_away_from_the_whole() -> None:
    assert voted([whole("diese Zeile ist lang", 0.9), beginning("diese Zei1", 1.0), end("1st lang", 1.0)]) == (
        "diese Zeile ist lang"
    )


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_of_a_line_longer_than_the_picture_are_put_together(order: tuple[int, ...]) -> None:
    parts = [
        beginning("the first part of a line that is"),
        Reading(text="part of a line that is much longer", score=0.9, cut_left=True, cut_right=True),
        end("much longer than the picture"),
    ]
    assert voted([parts[number] for number in order]) == "the first part of a line that is much longer than the picture"


def test_the_character_on_the_edge_is_not_trusted() -> None:
    """Half of a character at the picture's edge is read as another one."""
    assert voted([beginning("正在写作业被我女"), end("业被我妈发现了")]) == "正在写作业被我妈发现了"


def test_ends_that_one_reading_of_three_added_are_left_out() -> None:
    assert voted([whole("多肉植物"), whole("多肉植物2N"), whole("多肉植物")]) == "多肉植物"


def test_an_end_that_one_reading_of_two_left_out_is_there() -> None:
    assert voted([whole("周末愉快各位"), whole("周末愉快各")]) == "周末愉快各位"


@given(st.lists(READINGS, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_the_readings_does_not_matter(readings: list[Reading], chance: object) -> None:
    shuffled = list(readings)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert voted(shuffled) == voted(readings)


@given(st.lists(READINGS, min_size=1, max_size=5))
def test_a_text_is_never_longer_than_its_readings_together_nor_of_other_characters(readings: list[Reading]) -> None:
    text = voted(readings)
    assert len(text) <= sum(len(reading.text) for reading in readings)
    assert set(text) <= {character for reading in readings for character in reading.text}


@given(TEXTS, st.lists(st.floats(0.5, 1.0), min_size=1, max_size=5))
def test_what_all_readings_say_is_what_is_said(text: str, scores: list[float]) -> None:
    assert voted([whole(text, score) for score in scores]) == text


@given(TEXTS, st.integers(1, 11))
def test_a_part_never_changes_the_whole(text: str, at: int) -> None:
    assert voted([whole(text), *([beginning(text[:at])] if text[:at] else [])]) == text


def test_texts_are_compared_without_width_and_white_space() -> None:
    assert folded("ＱＱ 群　７３５") == "QQ群735"
    assert alike("ＱＱ 群 ７３５", "QQ群735", part=False) == 1


@pytest.mark.parametrize(
    ("one", "other", "part", "same"),
    [
        ("加微信领福利", "加微倍领福利", False, True),
        ("加微信领福利", "今天天气真好", False, False),
        ("加微信领福利", "领福利", False, False),
        ("加微信领福利", "领福利", True, True),
        ("加微信领福利", "领福利送大礼包", True, True),
        ("", "", True, False),
    ],
)
def test_how_alike_texts_are(one: str, other: str, part: bool, same: bool) -> None:
    assert (alike(one, other, part=part) > 0.7) is same
