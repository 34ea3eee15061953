"""Finds the contacts in a line of text, by what a policy asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

from streammon.judge.contacts.accounts import find_accounts
from streammon.judge.contacts.addresses import find_links, find_mail
from streammon.judge.contacts.contact import Contact, ContactKind
from streammon.judge.contacts.folding import Folded, fold
from streammon.judge.contacts.phones import find_phones

CONTACT_LABEL = "advertising.contact"
_LEAST_CHARS = 4
_NAMING = re.compile(r"[0-9A-Za-z\u00c0-\u052f]")
_ACCOUNTS = frozenset(ContactKind) - {ContactKind.PHONE, ContactKind.EMAIL, ContactKind.URL}


class ContactFinder:
    """`regions` are those of telephone numbers, links and mail to `allow_domains` (as DNS has them) are no contacts."""

    def __init__(
        self,
        *,
        regions: Sequence[str] = ("CN",),
        kinds: Set[ContactKind] = frozenset(ContactKind),
        allow_domains: Sequence[str] = (),
    ) -> None:
        self._regions = tuple(regions)
        self._kinds = kinds
        self._allow_domains = tuple(allow_domains)

    def find(self, text: str) -> list[Contact]:
        """The contacts in the first 2,000 characters, in the order of where they stand; no two of them overlap.

        What may be read as two kinds is the more telling one: mail before links, accounts before numbers.
        """
        folded = fold(text)
        # Most lines end here: a name or number has four letters or digits, and a Chinese address a full stop.
        if "." not in folded.text and len(_NAMING.findall(folded.in_digits())) < _LEAST_CHARS:
            return []
        taken: list[Contact] = []
        for contact in self._found(folded):
            if contact.kind in self._kinds and not any(_overlap(contact, other) for other in taken):
                taken.append(contact)
        return sorted(taken, key=lambda contact: contact.span)

    def _found(self, folded: Folded) -> Iterator[Contact]:
        if ContactKind.EMAIL in self._kinds:
            yield from find_mail(folded, self._allow_domains)
        if self._kinds & (_ACCOUNTS | {ContactKind.URL}):
            yield from find_links(folded, self._allow_domains)
        if self._kinds & _ACCOUNTS:
            yield from find_accounts(folded)
        if ContactKind.PHONE in self._kinds:
            yield from find_phones(folded, self._regions)


def _overlap(one: Contact, other: Contact) -> bool:
    return one.span[0] < other.span[1] and other.span[0] < one.span[1]
