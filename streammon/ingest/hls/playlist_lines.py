"""The words of an HLS playlist: its lines, their attributes, and the values in them. No I/O.

A value that only describes is read as leniently as players do and is None where it is junk. A value that says how to
get a segment's bytes raises SourceNotMedia where it is junk: a guess would give other bytes than the publisher's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urljoin

from streammon.errors import SourceNotMedia
from streammon.ingest.source import ByteRange

MAX_DURATION_S = 86_400.0
"""A segment that claims more than a day is taken for junk."""

_EXTM3U = "#EXTM3U"
# CR and LF only: the other characters at which `str.splitlines` breaks may stand in a title.
_LINE = re.compile(r"[^\r\n]+")
# Anchored at a comma, so that no text makes it start over at every character.
_ATTRIBUTE = re.compile(r'(?:^|,)\s*([A-Za-z0-9-]+)\s*=\s*("[^"]*"|[^,]*)')
_INTEGER = re.compile(r"\s*(-?[0-9]{1,20})(?![0-9])")
_DECIMAL = re.compile(r"\s*([0-9]{1,12}(?![0-9])(?:\.[0-9]{0,12})?|\.[0-9]{1,12})")
_RESOLUTION = re.compile(r"\s*([0-9]{1,5})[xX]([0-9]{1,5})\s*")
_BYTE_RANGE = re.compile(r"([0-9]{1,18})(?:@([0-9]{1,18})?)?")
_IV = re.compile(r"0[xX]([0-9A-Fa-f]{1,32})")
# What no URI may hold (RFC 3986) and what templates, markup and stray text are full of.
_NOT_IN_A_URI = re.compile(r'[\s\x00-\x1f\x7f{}|\\^<>"`]')


def split_lines(text: str) -> Iterator[tuple[str, str]]:
    """The lines that are not empty, as (tag, value); a URI's tag is empty. Comments are among them, as unknown tags."""
    for match in _LINE.finditer(text.removeprefix("\ufeff")):
        line = match[0].strip()
        if line.startswith(_EXTM3U) and len(line) > len(_EXTM3U):
            line = line.removeprefix(_EXTM3U).lstrip()
            if not line.startswith("#"):
                line = _EXTM3U
        if not line.startswith("#"):
            if line:
                yield "", line
            continue
        tag, _, value = line.partition(":")
        yield tag.rstrip(), value


def attributes(value: str) -> dict[str, str]:
    """An attribute list, without the quotes; where a name comes twice, the first counts."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(value):
        found.setdefault(match[1].upper(), match[2].strip().strip('"'))
    return found


def integer(value: str) -> int | None:
    """The whole number that a value starts with."""
    match = _INTEGER.match(value)
    return int(match[1]) if match else None


def decimal(value: str) -> float | None:
    """The number, not below 0, that a value starts with."""
    match = _DECIMAL.match(value)
    return float(match[1]) if match else None


def duration_s(value: str) -> float | None:
    """A duration in seconds, 0 to MAX_DURATION_S."""
    number = decimal(value)
    return number if number is not None and number <= MAX_DURATION_S else None


def resolution(value: str) -> tuple[int, int] | None:
    """Width and height in pixels, both above 0."""
    match = _RESOLUTION.fullmatch(value)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    return size if min(size) > 0 else None


def date_time(value: str) -> datetime | None:
    """A wall clock, UTC. One that names no zone is taken for UTC, as ExoPlayer does."""
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def byte_range(value: str, follows: int) -> ByteRange:
    """`length[@offset]`; `follows` is the offset where none is given. Raises SourceNotMedia."""
    match = _BYTE_RANGE.fullmatch(value.strip())
    if match is None or int(match[1]) == 0:
        raise SourceNotMedia("the playlist has a byte range that is none; the server must send <length>@<offset>")
    return ByteRange(length=int(match[1]), offset=int(match[2]) if match[2] else follows)


def initialisation_vector(value: str) -> bytes:
    """The 16 bytes of a hexadecimal number. Raises SourceNotMedia."""
    match = _IV.fullmatch(value.strip())
    if match is None:
        raise SourceNotMedia("the playlist has a key whose IV is no number of at most 16 bytes; check the packager")
    return int(match[1], 16).to_bytes(16, "big")


def absolute(base_url: str, uri: str) -> str:
    """The URI in full. Raises SourceNotMedia where it cannot be told what it means."""
    try:
        return urljoin(base_url, uri)
    except ValueError as error:
        raise SourceNotMedia("the playlist holds an address that cannot be read; check the packager") from error


def looks_like_uri(line: str) -> bool:
    """Whether a line that no tag announces may be an address at all, rather than stray text."""
    return _NOT_IN_A_URI.search(line) is None
