"""What holds of any text: spans lie in it and hold the word, folding twice is folding once, and nothing raises."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from streammon.entities import MatchStep
from streammon.judge.keywords import KeywordMatcher
from streammon.judge.keywords.glyphs import plain_text
from streammon.judge.keywords.line import read_line
from tests.unit.judging import keywords

WORDS = (
    "加微信",
    "赌博",
    "澳门赌场",
    "casino",
    "bet",
    "微信:",
    "天天乐",
    "🔞",
    "slot machine",
    "パチンコ",
    "गाली",
    "é",
)
SEARCH = KeywordMatcher([keywords(*WORDS)], allowed=["禁止赌博"])

# Letters of the words, what evaders put in, and anything at all, lone surrogates and unassigned characters included.
pieces = st.sampled_from(
    [*"加微信赌博澳门场賭casinobetCAS1N0@$!|*. ，。\u200b\u0301\ufe0f\n", "wei", "du", "🅒", "ﬁ", "㈱"]
)
texts = st.lists(pieces | st.characters(exclude_categories=()), max_size=40).map("".join)


@given(texts)
@example("㈱加ﬁ微\u0301信")
@example("\ud800casino\udfff")
def test_spans_lie_in_the_text_and_hold_as_much_as_the_word(text: str) -> None:
    for match in SEARCH.find(text):
        start, end = match.hit.span
        assert 0 <= start < end <= len(text)
        inside = SEARCH.find(text[start:end])
        assert match.hit.word in {other.hit.word for other in inside} or match.hit.by is not MatchStep.EXACT


@given(texts, st.sampled_from(WORDS), texts)
def test_a_word_among_others_is_found_where_it_stands(before: str, word: str, after: str) -> None:
    text = f"{before} — {word} — {after}"
    span = (len(before) + 3, len(before) + 3 + len(word))
    assert any(m.hit.word == word and m.hit.span[0] < span[1] and span[0] < m.hit.span[1] for m in SEARCH.find(text))


@given(texts)
def test_folding_twice_is_folding_once(text: str) -> None:
    assert plain_text(plain_text(text)) == plain_text(text)


@given(texts)
def test_each_glyph_stands_in_the_text_and_they_stand_in_order(text: str) -> None:
    line = read_line(text)
    assert len(line.glyphs) == len(line.spans)
    assert all(0 <= start < end <= len(text) for start, end in line.spans)
    assert list(line.spans) == sorted(line.spans)
    assert len(line.keys) == len(line.runs) - 1
    assert len(line.sounds) == len(line.sounders)
