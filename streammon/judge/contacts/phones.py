"""Telephone numbers, also where separators, Chinese digits and letters for digits hide them.

A Chinese mobile number is told by its form alone. Other numbers without a country's code look like any number: they
count beside a word such as "tel", or written as telephone numbers are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import phonenumbers
from phonenumbers import Leniency, NumberParseException, PhoneNumberMatcher

from streammon.judge.contacts.contact import Contact, ContactKind
from streammon.judge.contacts.folding import Folded

# Letters that stand in for digits; only beside real ones.
_LOOKS_LIKE = str.maketrans("oOlI", "0011")
_GROUP = re.compile(r"[0-9oOlI]{1,40}")
_GAP = re.compile(r"(?:[^\w\n]|_){1,3}")
_FOREIGN = re.compile(r"\+[0-9](?:[ .()-]{0,3}[0-9]){6,14}(?![0-9])")
_NOT_A_PHONE = re.compile(
    r"订单|单号|编号|编码|流水|房间|房号|直播间|运单|快递|工号|期号|[¥$€]\s?$|"
    r"(?<![a-z])(?:order|room|uid|id|no|isbn|sku|ref)[\s.:#]{0,3}$",
    re.IGNORECASE,
)
_A_QUANTITY = re.compile(r"\s?(?:[元块分人次个票币万亿位名钻%¥$€]|points|coins|\.[0-9]|,[0-9]{3}(?![0-9]))")
_CUE = re.compile(
    r"电话|電話|手机|手機|热线|熱線|联系|聯繫|致电|拨打|来电|座机|客服|"
    r"(?<![a-z])(?:tel|phone|call|mobile|hotline|whats\s?app|text\s(?:me|us)|ring|cell|sms|dial|contact)(?![a-z])",
    re.IGNORECASE,
)
_LIKE_A_PHONE = re.compile(
    r"(?:\(?0\d{2,3}\)?[ -]{1,2}\d{7,8}|[48]00[ -]\d{3,4}[ -]?\d{3,4}|\(\d{3}\) ?\d{3}-\d{4})(?:$|\D)"
)
_GROUPINGS = {(11,), (3, 4, 4), (3, 3, 5), (4, 3, 4), (4, 4, 3), (3, 8), (7, 4), (5, 6), (3, 2, 2, 2, 2), (3, 2, 3, 3)}
# Seven digits, or letters for them, that are near each other.
_ANY_NUMBER = re.compile(r"[0-9oOlI](?:[^0-9oOlI\n]{0,3}[0-9oOlI]){6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Digits in a row, [start, end); `gap` is what lies between it and the next one, None where that is far."""

    start: int
    end: int
    digits: str
    gap: str | None = None


def find_phones(folded: Folded, regions: Sequence[str]) -> Iterator[Contact]:
    """The numbers of the regions, and those of any country that are written with a `+` and its code."""
    text = folded.in_digits()
    if not _ANY_NUMBER.search(text):
        return
    if "CN" in regions:
        yield from _chinese_mobiles(folded, text)
    for match in _FOREIGN.finditer(text):
        yield from _valid(folded, match[0], None, match.span())
    for region in regions:
        yield from _of_region(folded, text, region)


def _chinese_mobiles(folded: Folded, text: str) -> Iterator[Contact]:
    for start, end, digits in _eleven_digits(_groups(text)):
        if text[start - 1 : start] == "+" and text[start] != "8":
            continue
        if not _NOT_A_PHONE.search(text[max(0, start - 8) : start]) and not _A_QUANTITY.match(text, end):
            yield from _valid(folded, digits, "CN", (start, end))


def _groups(text: str) -> list[_Group]:
    """The groups of digits; letters count for digits in a group with digits, or as a group of one."""
    found: list[_Group] = []
    for match in _GROUP.finditer(text):
        start, end = match.span()
        if match[0].isalpha() and len(match[0]) > 1:
            continue
        if not match[0].isdecimal() and (_letter(text, start - 1) or _letter(text, end)):
            continue
        found.append(_Group(start=start, end=end, digits=match[0].translate(_LOOKS_LIKE)))
    return [
        _Group(start=one.start, end=one.end, digits=one.digits, gap=_between(text, one.end, following.start))
        for one, following in pairwise([*found, _Group(start=len(text) + 9, end=len(text) + 9, digits="")])
    ]


def _between(text: str, start: int, end: int) -> str | None:
    gap = text[start:end]
    return gap if end <= len(text) and _GAP.fullmatch(gap) else None


def _letter(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at].isascii() and text[at].isalpha()


def _eleven_digits(groups: Sequence[_Group]) -> Iterator[tuple[int, int, str]]:
    """Where groups that follow each other have eleven digits, in a grouping that people write."""
    for first, group in enumerate(groups):
        if len(group.digits) in (13, 15) and group.digits.removeprefix("00").startswith("86"):
            yield group.start, group.end, group.digits[-11:]
        digits, last = "", first
        while last < len(groups):
            digits += groups[last].digits
            if len(digits) >= 11 or groups[last].gap is None:
                break
            last += 1
        taken = groups[first : last + 1]
        if len(digits) == 11 and digits.startswith("1") and _as_people_write(groups, first, last):
            yield taken[0].start, taken[-1].end, digits


def _as_people_write(groups: Sequence[_Group], first: int, last: int) -> bool:
    """Whether the grouping is one of telephone numbers, or one separator alone lies between all the groups."""
    taken = groups[first : last + 1]
    if tuple(len(group.digits) for group in taken) in _GROUPINGS:
        return True
    gaps = {group.gap for group in taken[:-1]}
    alone = (first == 0 or groups[first - 1].gap not in gaps) and taken[-1].gap not in gaps
    return len(gaps) == 1 and alone and gaps.isdisjoint({":", "/", ",", ", "})


def _valid(folded: Folded, written: str, region: str | None, at: tuple[int, int]) -> Iterator[Contact]:
    try:
        number = phonenumbers.parse(written, region)
    except NumberParseException:
        return
    if phonenumbers.is_valid_number(number):
        value = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        yield Contact(kind=ContactKind.PHONE, value=value, span=folded.span(*at))


def _of_region(folded: Folded, text: str, region: str) -> Iterator[Contact]:
    for match in PhoneNumberMatcher(text, region, leniency=Leniency.VALID):
        before = text[max(0, match.start - 12) : match.start]
        written = _LIKE_A_PHONE.match(text, match.start)
        if (
            (written or _CUE.search(before))
            and not _NOT_A_PHONE.search(before)
            and not _A_QUANTITY.match(text, match.end)
        ):
            value = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
            yield Contact(kind=ContactKind.PHONE, value=value, span=folded.span(match.start, match.end))
