"""Names of accounts beside a word or sign that says of what: `vx: abc123`, `QQ 123456789`, `tg @name`.

Every repetition in the patterns is bounded and none is nested in another without a bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streammon.judge.contacts.contact import Contact, ContactKind
from streammon.judge.contacts.folding import Folded

# What may stand between the word and the name.
_FILL = (
    r"(?P<fill>(?:\s{0,3}(?:号码|号碼|账号|帐号|賬號|联系|id(?![a-z0-9])|no(?![a-z0-9])|号|號|是|为|為|群|搜|加|我|✚|"
    r"[:=→>(\[【「<@,~。./|*_-]{1,3})){0,4}\s{0,3})"
)
_END = r"(?![a-z0-9_-])"
_ID = rf"(?P<id>[a-z][a-z0-9_-]{{5,19}}){_END}"
_NUMBER = r"(?P<id>[1-9](?:[\s._-]?[0-9]){4,10})(?![0-9])(?!\s?[人粉元块个万次位分票年月])"
_EXPLICIT = re.compile(r"id|no|[号號:=→@]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """One way to write an account. `accepts` is asked what lies between word and name, and the name."""

    kind: ContactKind
    pattern: re.Pattern[str]
    accepts: Callable[[str, str], bool]


def _form(kind: ContactKind, cue: str, name: str, accepts: Callable[[str, str], bool]) -> _Form:
    return _Form(kind=kind, pattern=re.compile(f"(?:{cue}){_FILL}{name}", re.IGNORECASE), accepts=accepts)


def _always(_fill: str, _name: str) -> bool:
    return True


def _marked(fill: str, name: str) -> bool:
    """The name is no plain word, or is said to be a name."""
    return not name.isalpha() or _EXPLICIT.search(fill) is not None


def _named(fill: str, name: str) -> bool:
    """The name is no plain word, or is called an id: after a Latin word and a colon any sentence may follow."""
    return not name.isalpha() or re.search(r"id|no|号|號|@", fill, re.IGNORECASE) is not None


def _marked_number(fill: str, name: str) -> bool:
    return len(name) >= 6 and _EXPLICIT.search(fill) is not None


def _at_or_digit(fill: str, name: str) -> bool:
    return "@" in fill or (not name.isalpha() and not name.isdecimal()) or (":" in fill and len(name) > 4)


def _line(fill: str, name: str) -> bool:
    told = "@" in fill or re.search(r"id", fill, re.IGNORECASE) is not None
    return told or (":" in fill and not name.isalpha() and not name.isdecimal())


# Words that are written only to get round a ban; after them any name is one. \u0445 is a Cyrillic x, \u2795 a plus.
_WECHAT_COVERT = (
    r"(?<![a-z0-9])(?:[vw]\s?[x\u0445\xd7](?![a-z])|v信|v号|v❤)|(?:加|\u2795|[+])\s?[vw](?![a-z])|[薇徽溦]\s?[信❤♥芯x号]?|[威维卫]信|"
    r"微(?:❤|♥|芯|x|号)|加微|绿泡泡|绿色软件|卫星号?(?=\s?[:号])"
)
_WECHAT_OPEN = r"微\s?信|維信"
_WECHAT_LATIN = r"(?<![a-z])(?:we\s?chat|wei\s?xin)(?![a-z])"
_QQ = r"(?<![a-z])q{1,3}(?![a-z])|扣扣|抠抠|蔻蔻|扣(?=\s?[群号])|企鹅|球球|秋秋|加\s?q"
_TELEGRAM = r"(?<![a-z])(?:tg|tele(?:gram)?)(?![a-z])|电报|電報|纸飞机|飞机号?|✈"
_WHATSAPP = r"(?<![a-z])(?:whats?\s?app|wats\s?app)(?![a-z])|(?<![a-z])(?:wa|ws)(?=\s?[:+])"
_LINE = r"(?<![a-z])line(?![a-z])|(?:加|add)\s?line(?![a-z])|赖"
_FORMS = (
    _form(ContactKind.WECHAT, _WECHAT_COVERT, _ID, _always),
    _form(ContactKind.WECHAT, _WECHAT_OPEN, _ID, _marked),
    _form(ContactKind.WECHAT, _WECHAT_LATIN, _ID, _named),
    _form(ContactKind.WECHAT, rf"{_WECHAT_COVERT}|{_WECHAT_OPEN}|{_WECHAT_LATIN}", _NUMBER, _marked_number),
    _form(ContactKind.QQ, _QQ, _NUMBER, _always),
    _form(ContactKind.TELEGRAM, _TELEGRAM, rf"(?P<id>[a-z][a-z0-9_]{{3,31}}){_END}", _at_or_digit),
    _form(ContactKind.WHATSAPP, _WHATSAPP, r"(?P<id>\+?[0-9](?:[ .()-]{0,3}[0-9]){6,14})(?![0-9])", _always),
    _form(ContactKind.LINE, _LINE, rf"(?P<id>[a-z0-9][a-z0-9._-]{{3,19}}){_END}", _line),
)
_SEPARATORS = re.compile(r"[\s.()_-]+")


def find_accounts(folded: Folded) -> Iterator[Contact]:
    """Accounts with their word. The span is the name's alone."""
    text = folded.in_digits()
    for form in _FORMS:
        for match in form.pattern.finditer(text):
            name = match["id"]
            if form.kind is not ContactKind.LINE and name.lstrip("+")[0].isdecimal():
                name = _SEPARATORS.sub("", name)
            if form.accepts(match["fill"], name):
                yield Contact(kind=form.kind, value=name, span=folded.span(*match.span("id")))
