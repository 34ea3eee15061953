"""Contacts and links in lines of text: what is one, what only looks like one, where it stands, and hostile lines."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.judge.contacts.contact import Contact, ContactKind
from streammon.judge.contacts.finder import ContactFinder
from streammon.judge.contacts.folding import MAX_CHARS, fold
from streammon.judge.contacts.regions import known_region
from tests.benchmarks.accuracy.contact_cases import CASES, HARMLESS, is_held_out

FINDER = ContactFinder()
KNOWN = [case for case in CASES if not is_held_out(case[0])]


def values(text: str, finder: ContactFinder = FINDER) -> list[tuple[str, str]]:
    return [(contact.kind.value, contact.value) for contact in finder.find(text)]


@pytest.mark.parametrize(("text", "kind", "value"), KNOWN)
def test_a_contact_is_found(text: str, kind: ContactKind, value: str) -> None:
    assert (kind.value, value) in values(text)


@pytest.mark.parametrize("text", [text for text in HARMLESS if not is_held_out(text)])
def test_a_harmless_line_has_none(text: str) -> None:
    assert FINDER.find(text) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("来 加薇 abc12345 领", "abc12345"),
        ("打１３８ ００１３ ８０００吧", "１３８ ００１３ ８０００"),
        ("号:1\u200b3800138\ufe0f000 。", "1\u200b3800138\ufe0f000"),
        ("看 ｅｘａｍｐｌｅ 点 ｃｏｍ ！", "ｅｘａｍｐｌｅ 点 ｃｏｍ"),
        ("㈠ name at gmail dot com ok", "name at gmail dot com"),
    ],
)
def test_a_span_points_into_the_text_as_seen(text: str, seen: str) -> None:
    (contact,) = FINDER.find(text)
    assert text[slice(*contact.span)] == seen


def test_several_contacts_come_in_their_order_and_do_not_overlap() -> None:
    text = "vx: abc123 or 13800138000, mail name@gmail.com, see t.me/luckyroom and example.com"
    assert values(text) == [
        ("wechat", "abc123"),
        ("phone", "+8613800138000"),
        ("email", "name@gmail.com"),
        ("telegram", "luckyroom"),
        ("url", "example.com"),
    ]


def test_a_foreign_number_is_not_taken_for_a_chinese_one() -> None:
    assert values("+1 650 253 0000") == [("phone", "+16502530000")]


@pytest.mark.parametrize(
    ("regions", "found"),
    [(("US",), [("phone", "+16502530000")]), (("CN",), []), ((), [])],
)
def test_numbers_without_a_country_are_those_of_the_regions(
    regions: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    assert values("call (650) 253-0000", ContactFinder(regions=regions)) == found


def test_without_china_its_mobile_numbers_need_their_code() -> None:
    abroad = ContactFinder(regions=("US",))
    assert values("13800138000", abroad) == []
    assert values("+86 13800138000", abroad) == [("phone", "+8613800138000")]


def test_an_unknown_region_is_refused() -> None:
    assert known_region("CN") == "CN"
    with pytest.raises(ValueError, match="two capital letters"):
        known_region("China")


def test_only_the_kinds_that_are_asked_for_are_found() -> None:
    text = "vx: abc123, 13800138000, name@gmail.com, example.com"
    for kind in ContactKind:
        found = {contact.kind for contact in ContactFinder(kinds=frozenset({kind})).find(text)}
        assert found <= {kind}
    assert values("WA: +44 7911 123456", ContactFinder(kinds=frozenset({ContactKind.PHONE}))) == [
        ("phone", "+447911123456")
    ]


@pytest.mark.parametrize(
    "text", ["example.com", "see shop.example.com/x", "hxxp://example.com", "a@example.com", "example点com"]
)
def test_what_leads_to_an_allowed_domain_is_no_contact(text: str) -> None:
    assert FINDER.find(text) != []
    assert ContactFinder(allow_domains=("example.com",)).find(text) == []


@pytest.mark.parametrize("text", ["example.com.evil.cc", "notexample.com", "a@example.com.evil.cc", "\u0435xample.com"])
def test_what_only_looks_like_an_allowed_domain_is_one(text: str) -> None:
    assert ContactFinder(allow_domains=("example.com",)).find(text) != []


@given(st.text(max_size=200))
def test_any_text_gives_spans_within_it_that_do_not_overlap(text: str) -> None:
    found = FINDER.find(text)
    assert all(0 <= contact.span[0] < contact.span[1] <= len(text) for contact in found)
    assert all(one.span[1] <= other.span[0] for one, other in pairwise(found))


@given(st.text(alphabet="好的看 吧！", max_size=20), st.text(alphabet="好的看 吧！", max_size=20))
def test_a_number_is_found_whatever_harmless_text_is_around_it(before: str, after: str) -> None:
    (contact,) = FINDER.find(f"{before}13800138000{after}")
    assert contact == Contact(kind=ContactKind.PHONE, value="+8613800138000", span=(len(before), len(before) + 11))


@given(st.text(max_size=300))
def test_folding_keeps_the_order_of_characters(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.spans)
    assert list(folded.spans) == sorted(folded.spans)
    assert len(folded.in_digits()) == len(folded.text)


@pytest.mark.parametrize(
    "part",
    ["a.", "a-", "1", "1 ", "vx:", "qq:1", " ", "a dot ", "a at ", "a@", "http://a.", "+1", "tel 010-",
     "138 0013 8000 ", "微信号:", "line@id:", "a点", "_", ".", "中.", "1.", "(010) ", "o", "::::"],
)  # fmt: skip
def test_a_line_of_a_megabyte_is_cut_and_costs_little(part: str) -> None:
    line = part * (1_000_000 // len(part))
    start_s = time.process_time()
    found = FINDER.find(line)
    assert time.process_time() - start_s < 2
    assert all(contact.span[1] <= MAX_CHARS for contact in found)


def test_what_comes_after_the_bound_is_not_looked_at() -> None:
    assert FINDER.find("好" * MAX_CHARS + "13800138000") == []
    assert FINDER.find("好" * (MAX_CHARS - 11) + "13800138000") != []
