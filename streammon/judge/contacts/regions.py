"""The regions whose telephone numbers are known."""

from __future__ import annotations

import phonenumbers


def known_region(name: str) -> str:
    """A region's name as ISO 3166-1 has it. Raises ValueError where no numbers are known of it."""
    if name not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("should be a region of two capital letters such as CN (ISO 3166-1)")
    return name
