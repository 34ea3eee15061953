"""What the finders of contacts hand out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ContactKind(StrEnum):
    """How somebody can be reached. The incident's subject."""

    PHONE = "phone"
    WECHAT = "wechat"
    QQ = "qq"
    TELEGRAM = "telegram"
    WHATSAPP = "whatsapp"
    LINE = "line"
    EMAIL = "email"
    URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact in a text.

    `value` is what it amounts to once tricks are undone: a number as E.164 has it, an account's name, an e-mail
    address, a host. `span` is [start, end) in characters of the text as it was seen.
    """

    kind: ContactKind
    value: str
    span: tuple[int, int]
