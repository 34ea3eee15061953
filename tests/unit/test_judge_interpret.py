"""What readings mean under a policy: text lines, codes on allowed domains, labels without a rule."""

from __future__ import annotations

import pytest

from streammon.entities import CodeKind, KeywordHit
from streammon.judge.contacts.finder import ContactFinder
from streammon.judge.interpret import interpret
from streammon.judge.keywords import KeywordList
from streammon.judge.keywords.lists import Said
from streammon.judge.policy import TextPolicy
from tests.unit.judging import ADULT, CODE, CONTACT, code, combination, keywords, line, picture, policy, rule

GAMBLING = "prohibited.gambling"
EVERYTHING = {ADULT: rule(), CODE: rule(), CONTACT: rule(), GAMBLING: rule()}
ALLOWING = policy(EVERYTHING, allow_domains=["example.com", "例子.中国", "straße.de"])


def is_violation(payload: str) -> bool:
    return interpret([code(payload)], ALLOWING) != []


def test_a_line_becomes_one_detection_per_list_with_all_its_words() -> None:
    lists = [keywords("加微信", "whatsapp"), keywords("赌场", name="gambling", label=GAMBLING)]
    found = interpret([line("加微信 whatsapp 赌场")], policy(EVERYTHING, lists=lists))
    assert [(d.label, d.subject, [hit.word for hit in d.keywords]) for d in found] == [
        (CONTACT, "contact", ["加微信", "whatsapp"]),
        (GAMBLING, "gambling", ["赌场"]),
    ]


def test_lists_of_one_name_keep_their_labels() -> None:
    lists = [keywords("加微信", name="zh"), keywords("赌场", name="zh", label=GAMBLING)]
    found = interpret([line("加微信 赌场")], policy(EVERYTHING, lists=lists))
    assert [(d.label, [hit.word for hit in d.keywords]) for d in found] == [(CONTACT, ["加微信"]), (GAMBLING, ["赌场"])]


def test_a_word_with_a_label_of_its_own_is_a_detection_of_that() -> None:
    said = {"赌场": Said(label=GAMBLING)}
    both = KeywordList(name="mine", label=CONTACT, words=("加微信", "赌场"), said=said)
    found = interpret([line("加微信 赌场")], policy(EVERYTHING, lists=[both]))
    assert [(d.label, [hit.word for hit in d.keywords]) for d in found] == [(CONTACT, ["加微信"]), (GAMBLING, ["赌场"])]


def test_a_line_without_a_listed_word_means_nothing() -> None:
    assert interpret([line("good evening")], policy(EVERYTHING, lists=[keywords("加微信")])) == []


def test_a_label_without_a_rule_is_left_out() -> None:
    assert interpret([picture(0.99, "sexy.vulgar"), picture(0.5)], policy({ADULT: rule()})) == [picture(0.5)]


@pytest.mark.parametrize(
    ("text", "line_text", "words", "payload", "subject"),
    [
        (TextPolicy.FULL, "来 加微信 abc", ["加微信"], "wxp://x", "wxp://x"),
        (TextPolicy.HITS, None, ["加微信"], "wxp://x", "wxp://x"),
        (TextPolicy.NONE, None, [], None, "sha256:"),
    ],
)
def test_a_policy_says_how_much_of_what_was_read_goes_on(
    text: TextPolicy, line_text: str | None, words: list[str], payload: str | None, subject: str
) -> None:
    judging = policy(EVERYTHING, lists=[keywords("加微信")], text=text)
    qr, read = interpret([line("来 加微信 abc"), code("wxp://x")], judging)
    assert (read.text, [hit.word for hit in read.keywords], read.subject) == (line_text, words, "contact")
    assert (qr.qr.payload if qr.qr is not None else None) == payload
    assert str(qr.subject).startswith(subject)


def test_codes_stay_apart_where_nothing_of_them_is_told() -> None:
    judging = policy(EVERYTHING, text=TextPolicy.NONE)
    found = interpret([code("a"), code("b"), code("a")], judging)
    subjects = [detection.subject for detection in found]
    assert (subjects[0], len(set(subjects))) == (subjects[2], 2)


def test_a_part_of_a_combination_is_kept_without_a_rule_of_its_own() -> None:
    both = combination(ADULT, ("sexy.vulgar", 0.5), ("minors.child", 0.5))
    judging = policy({ADULT: rule()}, combinations=[both])
    found = interpret([picture(0.9, "minors.child"), picture(0.8, "sexy.kissing")], judging)
    assert [detection.label for detection in found] == ["minors.child"]


def test_the_strongest_comes_first() -> None:
    found = interpret([picture(0.2), picture(0.9), picture(0.5)], policy(EVERYTHING))
    assert [detection.score for detection in found] == [0.9, 0.5, 0.2]


@pytest.mark.parametrize(
    "payload",
    [
        "https://example.com",
        "http://example.com/",
        "HTTPS://EXAMPLE.COM/Path?q=1#part",
        " https://example.com/a ",
        "https://shop.example.com",
        "https://a.b.example.com:8443/x",
        "https://example.com:/x",
        "https://example.com./x",
        "https://example.com?next=http://evil.net",
        "https://例子.中国/",
        "https://xn--fsqu00a.xn--fiqs8s/",
        "https://店.例子.中国/",
        "https://ｅｘａｍｐｌｅ.com/",
        "https://xn--strae-oqa.de/",
    ],
)
def test_a_code_that_leads_to_an_allowed_domain_is_no_violation(payload: str) -> None:
    assert not is_violation(payload)


@pytest.mark.parametrize(
    "payload",
    [
        "https://evil.net/",
        "https://evil-example.com/",
        "https://notexample.com/",
        "https://example.com.evil.net/",
        "https://example.comevil.net/",
        "https://com/",
        "https://evil.net/example.com",
        "https://evil.net/?u=https://example.com",
        "https://evil.net#.example.com",
        "https://ex\N{CYRILLIC SMALL LETTER A}mple.com/",
        "https://strasse.de/",
    ],
)
def test_a_code_that_leads_elsewhere_is_a_violation(payload: str) -> None:
    assert is_violation(payload)


@pytest.mark.parametrize(
    "payload",
    [
        "https://example.com@evil.net/",
        "https://user:word@example.com/",
        "https://evil.net\\@example.com/",
        "https://evil.net\\.example.com/",
        "https://evil.net%2f.example.com/",
        "https://evil.net%23.example.com/",
        "https://evil。net。example.com\\",
        "https://evil.net／.example.com/",
        "https:\\\\example.com/",
        "https:/example.com/",
        "https://[::1].example.com/",
        "https://[example.com/",
        "https://example.com/\nhttps://evil.net/",
        "https://example.com/ https://evil.net/",
        "https://evil.net\t.example.com/",
        "https://example.com:80a/",
    ],
)
def test_an_address_that_readers_take_differently_is_never_allowed(payload: str) -> None:
    assert is_violation(payload)


@pytest.mark.parametrize(
    "payload",
    ["", "加微信 abc", "example.com", "//example.com/", "ftp://example.com/", "javascript://example.com/%0aalert(1)",
     "wxp://example.com", "mailto:a@example.com", "WIFI:S:example.com;;", "http://", "https:///example.com"],
)  # fmt: skip
def test_what_is_no_web_address_is_a_violation(payload: str) -> None:
    assert is_violation(payload)


def test_without_allowed_domains_every_code_is_a_violation() -> None:
    assert interpret([code("https://example.com")], policy(EVERYTHING)) != []


def test_a_denied_domain_is_a_violation_below_an_allowed_one() -> None:
    judging = policy(EVERYTHING, allow_domains=["example.com"], deny_domains=["bad.example.com"])
    payloads = ["https://example.com/", "https://bad.example.com/", "https://example.com/?to=bad.example.com"]
    assert [d.subject for d in interpret([code(payload) for payload in payloads], judging)] == payloads[1:]


@pytest.mark.parametrize(
    ("payload", "kind"),
    [("https://evil.net/", CodeKind.URL), ("wxp://f2f0", CodeKind.PAYMENT), ("加微信 abc", CodeKind.TEXT)],
)
def test_a_code_says_what_it_is_for(payload: str, kind: CodeKind) -> None:
    (found,) = interpret([code(payload)], policy(EVERYTHING))
    assert found.qr is not None
    assert (found.qr.kind, found.subject) == (kind, payload)


SAID = "加薇 abc12345 或 13800138000"


def test_contacts_in_a_line_are_one_detection_with_the_words_that_announce_them() -> None:
    judging = policy(EVERYTHING, lists=[keywords("加薇")], contacts=ContactFinder())
    (found,) = interpret([line(SAID)], judging)
    assert (found.label, found.subject, found.text) == (CONTACT, "wechat", SAID)
    assert found.keywords == (
        KeywordHit(word="加薇", list="contact", span=(0, 2)),
        KeywordHit(word="abc12345", list="contacts", span=(3, 11)),
        KeywordHit(word="+8613800138000", list="contacts", span=(14, 25)),
    )


def test_listed_words_of_another_label_stay_beside_the_contacts() -> None:
    gambling = keywords("赌场", label="prohibited.gambling")
    judging = policy(EVERYTHING, lists=[gambling], contacts=ContactFinder())
    found = interpret([line("赌场 13800138000")], judging)
    assert [(d.label, d.subject) for d in found] == [("prohibited.gambling", "contact"), (CONTACT, "phone")]


@pytest.mark.parametrize(
    ("text", "line_text", "words"),
    [
        (TextPolicy.FULL, SAID, ["abc12345", "+8613800138000"]),
        (TextPolicy.HITS, None, ["abc12345", "+8613800138000"]),
        (TextPolicy.NONE, None, []),
    ],
)
def test_of_a_contact_as_much_is_told_as_of_a_listed_word(
    text: TextPolicy, line_text: str | None, words: list[str]
) -> None:
    (wechat,) = interpret([line(SAID)], policy(EVERYTHING, contacts=ContactFinder(), text=text))
    assert (wechat.text, [hit.word for hit in wechat.keywords], wechat.subject) == (line_text, words, "wechat")


def test_contacts_are_not_looked_for_where_nobody_asks_for_them() -> None:
    assert interpret([line(SAID)], policy(EVERYTHING)) == []
    assert interpret([line(SAID)], policy({ADULT: rule()}, contacts=ContactFinder())) == []
