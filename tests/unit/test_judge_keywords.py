"""Listed words: what counts as the same spelling, where in the text a hit lies, what a list file may not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from streammon.errors import ConfigError
from streammon.judge.keywords import KeywordMatcher, fold, read_keyword_list
from tests.unit.judging import CONTACT, keywords, write


def found(text: str, *words: str) -> list[str]:
    """The stretches of the text as it was read that hits point to, in the order of where they end."""
    hits = [match.hit for match in KeywordMatcher([keywords(*words)]).find(text)]
    return [text[slice(*hit.span)] for hit in hits]


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_keyword_list(path, CONTACT)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "word", "stretch"),
    [
        ("please 加微信 now", "加微信", "加微信"),
        ("请加 微\t信吧", "加微信", "加 微\t信"),
        ("Add me on WhatsApp!", "whatsapp", "WhatsApp"),
        ("WHATSAPP", "WhatsApp", "WHATSAPP"),
        ("Ｗｈａｔｓａｐｐ", "whatsapp", "Ｗｈａｔｓａｐｐ"),
        ("微信：abc", "微信:", "微信："),
        ("whatsapp", "ｗｈａｔｓａｐｐ", "whatsapp"),
        ("STRASSE", "straße", "STRASSE"),
        ("ﾊﾟﾁﾝｺ 店", "パチンコ", "ﾊﾟﾁﾝｺ"),
        ("cafe\N{COMBINING ACUTE ACCENT} bar", "café", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("ca\N{ZERO WIDTH SPACE}si\N{SOFT HYPHEN}no", "casino", "ca\N{ZERO WIDTH SPACE}si\N{SOFT HYPHEN}no"),
        ("go: s l o t machine.", "slot machine", "s l o t machine"),
    ],
)
def test_spellings_of_one_word_are_found_where_they_stand(text: str, word: str, stretch: str) -> None:
    assert found(text, word) == [stretch]


@pytest.mark.parametrize(
    ("text", "word", "stretch"),
    [
        ("ﬁsh tank", "fish", "ﬁsh"),
        ("㈱赌场", "赌场", "赌场"),
        ("㍿の加微信", "加微信", "加微信"),
        ("㈱x", "株", "㈱"),
        ("ßß 下注", "下注", "下注"),
    ],
)
def test_a_span_stays_right_where_folding_changes_the_length(text: str, word: str, stretch: str) -> None:
    assert found(text, word) == [stretch]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("better", "bet"),
        ("alphabet", "bet"),
        ("be there", "bet"),
        ("bet365", "bet"),
        ("béte", "bet"),
        ("bety\N{COMBINING ACUTE ACCENT}", "bet"),
        ("ﬁsh", "ish"),
        ("加VIP", "加V"),
        ("加微信", "加微 博"),
        ("cafe", "café"),
        ("각", "가"),
        ("", "bet"),
        (" \t", "bet"),
    ],
)
def test_another_word_is_not_found(text: str, word: str) -> None:
    assert found(text, word) == []


@pytest.mark.parametrize("text", ["bet", "a bet!", "(BET)", "bet，赢", "赢bet了", "1 bet 2"])
def test_a_latin_word_stands_alone_between_other_scripts_spaces_and_signs(text: str) -> None:
    assert [stretch.lower() for stretch in found(text, "bet")] == ["bet"]


def test_words_that_overlap_or_lie_within_each_other_are_all_found() -> None:
    assert found("澳门赌场开业", "赌场", "澳门赌场", "门赌", "场开") == ["门赌", "澳门赌场", "赌场", "场开"]


def test_a_word_that_comes_twice_is_two_hits() -> None:
    assert found("casino, casino", "casino") == ["casino", "casino"]


def test_a_hit_says_which_list_and_which_spelling_of_it() -> None:
    lists = [keywords("Casino", name="gambling"), keywords("casino", name="adverts")]
    hits = [match.hit for match in KeywordMatcher(lists).find("CASINO")]
    assert {(hit.list, hit.word) for hit in hits} == {("gambling", "Casino"), ("adverts", "casino")}


def test_no_lists_find_nothing() -> None:
    assert KeywordMatcher([]).find("加微信") == []


def test_fold_gives_each_character_the_span_it_came_from() -> None:
    assert fold("A ﬁ") == ("afi", [(0, 1), (2, 3), (2, 3)])


def test_a_list_file_is_one_word_a_line_with_comments_and_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "gambling.txt", "# words\n\n 赌场 \nslot machine\r\n  # more\ncasino")
    read = read_keyword_list(path, "prohibited.gambling")
    assert (read.name, read.label) == ("gambling", "prohibited.gambling")
    assert read.words == ("赌场", "slot machine", "casino")


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\N{BYTE ORDER MARK}# 注释\n赌场\n".encode())
    assert read_keyword_list(path, CONTACT).words == ("赌场",)


def test_every_repeated_word_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "list.txt", "Casino\n# c\n\nＣＡＳＩＮＯ\n赌场\n赌 场\n")
    assert problems(path) == [
        f"{path}:4: stands in line 1 already (got 'ＣＡＳＩＮＯ')",
        f"{path}:6: stands in line 5 already (got '赌 场')",
    ]


def test_a_word_of_which_nothing_is_left_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "list.txt", "赌场\n\N{ZERO WIDTH SPACE}\n")
    assert problems(path) == [f"{path}:2: has nothing to see (got '\\u200b')"]


def test_a_list_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("赌场".encode("gb18030"))
    assert problems(path) == [f"{path}:1: is not UTF-8 text"]


def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}:1: cannot be read: Is a directory"]
