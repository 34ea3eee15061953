"""Listed words as people write them who do not want them found, and ordinary text that only comes near to one."""

from __future__ import annotations

import pytest

from streammon.entities import MatchStep
from streammon.judge.keywords import KeywordMatcher
from tests.unit.judging import keywords

S = MatchStep
WORDS = (
    *("加微信", "加我微信", "赌博", "澳门赌场", "六合彩", "QQ群", "下注", "代开发票", "天天乐", "加V"),
    *("casino", "telegram", "whatsapp", "sex", "bet", "book", "café", "slot machine", "buy followers", "bet365"),
)
SEARCH = KeywordMatcher([keywords(*WORDS)])


def found(text: str, search: KeywordMatcher = SEARCH) -> list[tuple[str, str, MatchStep]]:
    return [(m.hit.word, text[slice(*m.hit.span)], m.hit.by) for m in search.find(text)]


@pytest.mark.parametrize(
    ("text", "word", "stretch", "by"),
    [
        ("去澳門賭場吧", "澳门赌场", "澳門賭場", S.SIMPLIFIED),
        ("请加.微.信 123", "加微信", "加.微.信", S.SEPARATORS),
        ("加🌹微🌹信", "加微信", "加🌹微🌹信", S.SEPARATORS),
        ("【加】【微】【信】", "加微信", "加】【微】【信", S.SEPARATORS),
        ("加，微，信", "加微信", "加，微，信", S.SEPARATORS),
        ("赌 * 博", "赌博", "赌 * 博", S.SEPARATORS),
        ("c a s i n o", "casino", "c a s i n o", S.SEPARATORS),
        ("ca si no", "casino", "ca si no", S.SEPARATORS),
        ("cas-ino", "casino", "cas-ino", S.SEPARATORS),
        ("c|a|s|i|n|o", "casino", "c|a|s|i|n|o", S.SEPARATORS),
        ("b o o k", "book", "b o o k", S.SEPARATORS),
        ("b u y followers", "buy followers", "b u y followers", S.SEPARATORS),
        ("c\N{CYRILLIC SMALL LETTER A}sino", "casino", "c\N{CYRILLIC SMALL LETTER A}sino", S.HOMOGLYPHS),
        ("TeIegram", "telegram", "TeIegram", S.HOMOGLYPHS),
        ("🅒🅐🅢🅘🅝🅞", "casino", "🅒🅐🅢🅘🅝🅞", S.HOMOGLYPHS),
        ("ᴄᴀꜱɪɴᴏ", "casino", "ᴄᴀꜱɪɴᴏ", S.HOMOGLYPHS),
        ("çásïñó", "casino", "çásïñó", S.HOMOGLYPHS),
        ("c4s1n0", "casino", "c4s1n0", S.DIGITS),
        ("c@sino!", "casino", "c@sino", S.DIGITS),
        ("cas!no", "casino", "cas!no", S.DIGITS),
        ("5l0t m4chine", "slot machine", "5l0t m4chine", S.DIGITS),
        ("caaasino", "casino", "caaasino", S.REPEATS),
        ("ccaassiinnoo", "casino", "ccaassiinnoo", S.REPEATS),
        ("赌赌赌博博", "赌博", "赌博", S.EXACT),
        ("赌博博", "赌博", "赌博", S.EXACT),
        ("加微微微信", "加微信", "加微微微信", S.REPEATS),
        ("加威信", "加微信", "加威信", S.PINYIN),
        ("jia wei xin", "加微信", "jia wei xin", S.PINYIN),
        ("Jiaweixin", "加微信", "Jiaweixin", S.PINYIN),
        ("加wei信", "加微信", "加wei信", S.PINYIN),
        ("du博", "赌博", "du博", S.PINYIN),
        ("堵博", "赌博", "堵博", S.PINYIN),
        ("Q-Q-裙", "QQ群", "Q-Q-裙", S.PINYIN),
        ("加我徽信", "加我微信", "加我徽信", S.OCR),
        ("代升发票", "代开发票", "代升发票", S.OCR),
        ("澳门大赌场", "澳门赌场", "澳门大赌场", S.OCR),
        ("澳门场", "澳门赌场", "澳门场", S.OCR),
        ("csino", "casino", "csino", S.OCR),
        ("casiino", "casino", "casiino", S.OCR),
        ("c*sino", "casino", "c*sino", S.OCR),
        ("tel*gram", "telegram", "tel*gram", S.OCR),
        ("telegrarn", "telegram", "telegrarn", S.OCR),
        ("whatsap", "whatsapp", "whatsap", S.OCR),
        ("c.4.s.1.n.0", "casino", "c.4.s.1.n.0", S.DIGITS),
        ("賭.博", "赌博", "賭.博", S.SEPARATORS),
    ],
)
def test_a_word_in_hiding_is_found_with_the_most_daring_step_it_took(
    text: str, word: str, stretch: str, by: MatchStep
) -> None:
    assert found(text) == [(word, stretch, by)]


@pytest.mark.parametrize(
    "text",
    [
        *("不好要加。微信上也没有", "我来加，微信上说", "加!!!!!微信", "cas ino", "so cas. ino", "s exy", "yes ex"),
        *("$50 in 2015", "5 3 8 0", "b 3 7", "50s", "beet", "boook3", "beok", "bket", "weibo"),
        *("徽信", "威信", "天乐", "天天", "菠菜", "加V1P", "jia wei xing", "weijia xin", "澳门市场", "代办发票吗"),
        *("cafe", "better", "bet36", "bet3655", "读博", "赌伯", "reside"),
    ],
)
def test_ordinary_text_that_comes_near_is_not_found(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (S.SIMPLIFIED, "澳門賭場"),
        (S.SEPARATORS, "加.微.信"),
        (S.HOMOGLYPHS, "ᴄᴀꜱɪɴᴏ"),
        (S.DIGITS, "c4s1n0"),
        (S.REPEATS, "caaasino"),
        (S.PINYIN, "jia wei xin"),
        (S.OCR, "加我徽信"),
    ],
)
def test_a_step_that_is_off_is_not_taken(step: MatchStep, text: str) -> None:
    without = KeywordMatcher([keywords(*WORDS)], off=[step])
    assert found(text)
    assert found(text, without) == []
    assert len(found("加微信 casino", without)) == 2


def test_what_is_one_word_of_a_list_is_not_another_one_with_an_error() -> None:
    assert [word for word, _, _ in found("加微信")] == ["加微信"]
    two = KeywordMatcher([keywords("加微信"), keywords("加我微信", name="other")])
    assert [word for word, _, _ in found("加微信", two)] == ["加微信", "加我微信"]
