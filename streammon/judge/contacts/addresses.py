"""E-mail and web addresses, also where tricks keep them from being links: `example . com`, `hxxp://`, `a at b dot com`.

Whether a name can be one of the Internet's is asked of the Public Suffix List as the library ships it: nothing is
fetched. Many of its top-level domains are words or endings of files, so that a bare name counts only with a usual one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from publicsuffixlist import PublicSuffixList

from streammon.judge.contacts.contact import Contact, ContactKind
from streammon.judge.contacts.folding import Folded
from streammon.judge.domains import ascii_domain, lies_in

_SUFFIXES = PublicSuffixList(accept_unknown=False, only_icann=True)
_USUAL = frozenset({
    "com", "net", "org", "cn", "cc", "top", "xyz", "vip", "io", "tv", "info", "biz", "co", "app", "live",
    "shop", "site", "online", "club", "ru", "uk", "de", "jp", "kr", "hk", "tw", "fr", "eu", "br", "pro",
    "win", "bet", "ltd", "link", "store", "asia", "mobi", "pw", "ws", "gg", "ee", "la", "sg", "edu", "gov"
})  # fmt: skip
_TRICKED = frozenset({
    "com", "net", "org", "cn", "cc", "top", "xyz", "vip", "io", "tv", "info", "biz", "co", "app", "ru", "gg"
})  # fmt: skip
_PROVIDERS = ("gmail.com", "qq.com", "163.com", "126.com", "outlook.com", "hotmail.com", "yahoo.com", "foxmail.com",
              "sina.com", "icloud.com", "proton.me", "mail.ru", "live.com", "aol.com")  # fmt: skip
_ENDINGS = frozenset({"py", "md", "sh", "pl", "rs", "zip", "mov", "so", "ps", "ai", "cpp", "java"})
_HOSTS_OF: tuple[tuple[ContactKind, tuple[str, ...]], ...] = (
    (ContactKind.TELEGRAM, ("t.me", "telegram.me", "telegram.dog")),
    (ContactKind.WHATSAPP, ("wa.me", "whatsapp.com")),
    (ContactKind.LINE, ("line.me", "lin.ee")),
    (ContactKind.WECHAT, ("u.wechat.com", "weixin.qq.com")),
    (ContactKind.QQ, ("qm.qq.com", "jq.qq.com")),
)

# Letters of names: Latin, Greek and Cyrillic ones, which pass for Latin. Chinese stands beside names without a space.
_LETTER = r"a-z0-9\u00df-\u00f6\u00f8-\u024f\u0370-\u052f"
_LABEL = rf"[{_LETTER}][{_LETTER}-]{{0,62}}"
_DOT = (
    r"(?:\s{0,2}(?:[\[({]\s?(?:\.|dot|点)\s?[\])}]|[。·•点])\s{0,2}|\s{1,3}dot\s{1,3}|\s{1,2}\.\s{0,2}|\."
    r"|\.\s{1,2}(?=(?:com|cn)(?![a-z0-9.])))"
)
_HOST = rf"{_LABEL}(?:{_DOT}{_LABEL}){{1,5}}"
_SCHEME = r"h(?:tt|xx|\*\*)ps?\s{0,2}\[?:\]?\s{0,2}/\s?/\s{0,2}"
_PATH = r"(?P<path>\s?/\s?[a-z0-9_+%?=&#@.~/-]{1,200})"
_BARE = re.compile(rf"(?<![{_LETTER}@.-])(?P<host>{_HOST})(?::[0-9]{{1,5}})?{_PATH}?", re.IGNORECASE)
_SCHEMED = re.compile(
    rf"{_SCHEME}(?P<host>[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,5}})(?::[0-9]{{1,5}})?{_PATH}?", re.IGNORECASE
)
# Other names in Chinese, such as 购物, stand after a full stop as words.
_TOPS = "中国|中國|公司|网络|網路|香港|台湾|台灣|\u0440\u0444|한국"
_IDN = re.compile(rf"(?<![\w.])(?P<host>[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,3}}\.(?:{_TOPS}))(?![\w.])")
_AT = r"\s{0,2}(?:@|[\[({<]\s?(?:at|a|@|艾特|圈)\s?[\])}>]|艾特)\s{0,2}"
_LOCAL = r"(?<![a-z0-9_.+-])(?P<local>[a-z0-9][a-z0-9_.+-]{0,63})"
_MAIL = re.compile(rf"{_LOCAL}(?P<at>{_AT}|\s{{1,3}}at\s{{1,3}})(?P<host>{_HOST})", re.IGNORECASE)
_ANY_DOT = re.compile(_DOT, re.IGNORECASE)


def find_mail(folded: Folded, allow_domains: Sequence[str]) -> Iterator[Contact]:
    """E-mail addresses that are not on an allowed domain."""
    for match in _MAIL.finditer(folded.text):
        labels, dots = _parts(match["host"])
        host = _known_host(labels)
        if host is None or lies_in(host, allow_domains):
            continue
        worded = match["at"].strip().lower() == "at"
        if not worded or host in _PROVIDERS or (any(dot != "." for dot in dots) and labels[-1].lower() in _TRICKED):
            value = f"{match['local']}@{host}"
            yield Contact(kind=ContactKind.EMAIL, value=value, span=folded.span(*match.span()))


def find_links(folded: Folded, allow_domains: Sequence[str]) -> Iterator[Contact]:
    """Web addresses that are not on an allowed domain; those of messengers as an account's name."""
    for pattern in (_SCHEMED, _BARE, _IDN):
        for match in pattern.finditer(folded.text):
            labels, dots = _parts(match["host"])
            path = match.groupdict().get("path") or ""
            host = _known_host(labels) if pattern is not _SCHEMED else _known_host(labels) or _number(labels)
            if host is None or lies_in(host, allow_domains):
                continue
            if pattern is not _BARE or _is_address(labels, dots, path):
                kind, value = _kind_of(host, path)
                yield Contact(kind=kind, value=value, span=folded.span(*match.span()))


def _parts(host: str) -> tuple[list[str], list[str]]:
    """A host's labels and what stands for the dots between them."""
    return _ANY_DOT.split(host), _ANY_DOT.findall(host)


def _known_host(labels: Sequence[str]) -> str | None:
    """The host as DNS knows it, where its last labels are a public suffix and one more is there."""
    host = ascii_domain(".".join(label.strip("-") for label in labels))
    return host if _SUFFIXES.privatesuffix(host) is not None else None


def _number(labels: Sequence[str]) -> str | None:
    """An IPv4 address."""
    is_one = len(labels) == 4 and all(label.isdecimal() and int(label) < 256 for label in labels)
    return ".".join(labels) if is_one else None


def _is_address(labels: Sequence[str], dots: Sequence[str], path: str) -> bool:
    """Whether a name without a scheme is meant as an address and is not two sentences, a file or a number."""
    name, top = labels[-2], labels[-1].lower()
    if labels[0].lower() == "www" and len(labels) > 2:
        return True
    if any(dot != "." for dot in dots):
        return (top in _TRICKED or (path != "" and top == "me")) and (not name.isdecimal() or len(name) > 2)
    if top in _ENDINGS or (name.isdecimal() and len(name) < 2):
        return False
    if labels[-1].istitle() and not labels[0].istitle():
        return False
    told = len(labels) > 2 or not name.isalpha()
    return path != "" or top in _USUAL or (told and not name.isdecimal() and all(len(label) > 1 for label in labels))


def _kind_of(host: str, path: str) -> tuple[ContactKind, str]:
    """Which kind of contact a link is, and what it amounts to."""
    name = path.replace(" ", "").strip("/+@.").rpartition("/")[2]
    for kind, hosts in _HOSTS_OF:
        if lies_in(host, hosts) and name:
            return kind, name
    return ContactKind.URL, host
