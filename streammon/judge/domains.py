"""Names of hosts: how they are written for DNS, and whether one lies in a list of domains. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Strict on purpose: what browsers and scanners read differently (user@host, backslashes, escapes in the host, several
# lines) is not an address that anybody should be able to have allowed.
_ADDRESS = re.compile(r"https?://([\w.-]+)(?::[0-9]*)?(?:[/?#]\S*)?", re.IGNORECASE)
# What a deny-list is held against: the same, and all that a reader may also take for the host.
_LIKE_A_HOST = re.compile(r"[^\s/\\@?#&=:;,<>\"'()\[\]]+")


def ascii_domain(name: str) -> str:
    """A domain as DNS knows it: lower case, other scripts' labels as `xn--…` (RFC 3492). Maps no letter to another."""
    labels = name.lower().split(".")
    return ".".join(x if x.isascii() else f"xn--{x.encode('punycode').decode()}" for x in labels)


def host_of(payload: str) -> str | None:
    """The host of a payload that is a web address and nothing else, as DNS knows it; None where it is not."""
    address = _ADDRESS.fullmatch(payload.strip())
    return None if address is None else _named(address[1])


def lies_in(host: str, domains: Iterable[str]) -> bool:
    """Whether a host is one of the domains or below it; all as `ascii_domain` writes them."""
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def names_one_of(payload: str, domains: tuple[str, ...]) -> bool:
    """Whether anything in a payload could be taken for a host in one of the domains, wherever it stands."""
    return bool(domains) and any(lies_in(_named(part), domains) for part in _LIKE_A_HOST.findall(payload))


def _named(host: str) -> str:
    return ascii_domain(unicodedata.normalize("NFKC", host).rstrip("."))
