"""Listed words as they are usually written: what is one word, where in the text a hit lies, what cancels it."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from streammon.entities import MatchStep
from streammon.judge.keywords import KeywordList, KeywordMatcher
from streammon.judge.keywords.lists import Said
from streammon.judge.keywords.matcher import MAX_TEXT
from tests.unit.judging import CONTACT, keywords


def found(text: str, *words: str) -> list[str]:
    """The stretches of the text as it was read that hits point to, in the order of where they end."""
    hits = [match.hit for match in KeywordMatcher([keywords(*words)]).find(text)]
    return [text[slice(*hit.span)] for hit in hits]


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


def test_letters_of_one_shape_before_a_word_do_not_hide_it() -> None:
    assert found("E é", "é") == ["é"]
    assert found("yes sex o on", "sex", "on") == ["sex", "on"]


def test_a_word_that_comes_twice_is_two_hits() -> None:
    assert found("casino, casino", "casino") == ["casino", "casino"]


def test_a_hit_says_which_list_and_which_spelling_of_it() -> None:
    lists = [keywords("Casino", name="gambling"), keywords("casino", name="adverts")]
    hits = [match.hit for match in KeywordMatcher(lists).find("CASINO")]
    assert {(hit.list, hit.word) for hit in hits} == {("gambling", "Casino"), ("adverts", "casino")}


def test_no_lists_find_nothing() -> None:
    assert KeywordMatcher([]).find("加微信") == []


def test_signs_of_a_listed_word_must_be_there() -> None:
    assert found("微信 abc, t me/x", "微信:", "t.me/") == []
    assert found("t.me/x +V", "t.me/", "+V") == ["t.me/", "+V"]


def test_a_word_of_signs_alone_is_found_as_it_is() -> None:
    assert found("来🔞看", "🔞") == ["🔞"]


def test_a_word_of_one_character_is_found_as_it_stands_only() -> None:
    assert found("你赌么", "赌") == ["赌"]
    assert found("你賭么 du 堵", "赌") == ["賭"]
    assert found("a l", "i") == []


def test_an_allowed_word_hides_the_hits_within_it_and_no_others() -> None:
    search = KeywordMatcher([keywords("赌博", "ass")], allowed=["禁止赌博", "pain in the ass"])
    assert [m.hit.span for m in search.find("禁止赌博, 不赌博")] == [(7, 9)]
    assert [m.hit.span for m in search.find("a Pain in the ASS, ass")] == [(19, 22)]


def test_an_allowed_word_is_not_looked_for_in_hiding() -> None:
    search = KeywordMatcher([keywords("赌博")], allowed=["禁止赌博"])
    assert len(search.find("禁.止.赌博")) == 1


def test_a_list_may_say_more_of_a_word() -> None:
    said = {"赌场": Said(label="prohibited.gambling", severity=5)}
    one = KeywordList(name="mine", label=CONTACT, words=("赌场", "加微信"), said=said)
    matches = KeywordMatcher([one]).find("赌场 加微信")
    assert [(m.label, m.severity) for m in matches] == [("prohibited.gambling", 5), (CONTACT, None)]


def test_an_expression_is_found_where_it_matches() -> None:
    one = KeywordList(name="mine", label=CONTACT, words=(), patterns=(r"(?i)vx[:：]\s*\w{5,20}",))
    (match,) = KeywordMatcher([one]).find("找我 VX： abc_12345!")
    assert (match.hit.span, match.hit.by) == ((3, 16), MatchStep.PATTERN)
    assert match.hit.word == one.patterns[0]


def test_of_a_long_text_the_beginning_is_searched() -> None:
    word = "加微信"
    assert len(found("x" * (MAX_TEXT - 3) + word, word)) == 1
    assert found("x" * (MAX_TEXT - 2) + word, word) == []


def calls_for(search: KeywordMatcher, text: str) -> int:
    """How many calls of functions it takes to search a text: work, whatever the machine."""
    calls = 0

    def count(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        search.find(text)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("piece", ["a", "ab", "加", "加微", "a ", "微 ", "1", "\N{COMBINING ACUTE ACCENT}", "*"])
def test_work_grows_no_faster_than_the_text_and_ends_with_the_bound(piece: str) -> None:
    search = KeywordMatcher([keywords("aaaa", "abab", "加微信", "微微加微", "casino", "a微b加", "赌博")])
    calls_for(search, piece * 500)
    short, long = (calls_for(search, (piece * n)[:n]) for n in (1000, 4000))
    assert long <= 5 * short + 2000
    assert calls_for(search, piece * 1_000_000) <= 5 * short + 2000
