"""What a room must look like, whether the command line, a file or somebody else names it. Raises ValueError alone.

No message holds any part of a URL, a command or a header's value: they may carry secrets.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from streammon.ingest.net.address import AddressPolicy

MAX_ID_CHARACTERS = 200
MAX_PASSTHROUGH_BYTES = 1024

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


def check_room_id(room_id: str) -> str:
    """The id, as it is."""
    if not room_id.isprintable() or not 0 < len(room_id) <= MAX_ID_CHARACTERS:
        raise ValueError(f"should be 1 to {MAX_ID_CHARACTERS} printable characters")
    return room_id


def check_url(url: str) -> str:
    """The URL of a live stream, or the path of a file, which is played as if live."""
    scheme, mark, _ = url.partition("://")
    if not url or (mark and scheme.lower() not in AddressPolicy().schemes):
        raise ValueError("should begin with rtmp://, rtmps://, http:// or https://, or be a file")
    return url


def is_file(url: str) -> bool:
    """Whether a URL that was checked is a file's path."""
    return "://" not in url


def split_command(text: str) -> tuple[str, ...]:
    """A command as a shell would split it; it is run without one."""
    try:
        command = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"is not a command: {error}") from error
    if not command:
        raise ValueError("is empty")
    return command


def check_header(name: str, value: str) -> None:
    """A header that may be sent with HTTP requests."""
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError(f"{name.partition(':')[0]!r} is no header's name")
    if _HEADER_VALUE.fullmatch(value) is None:
        raise ValueError(f"{name} should have a value of plain characters")


def plain_passthrough(value: Mapping[str, Any]) -> dict[str, Any]:
    """What is echoed in every event of the room, as plain dicts and lists of JSON."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError("should be what JSON can hold: put dates in quotes") from error
    plain: dict[str, Any] = json.loads(text)
    if len(msgspec.json.encode(plain)) > MAX_PASSTHROUGH_BYTES:
        raise ValueError(f"should be at most {MAX_PASSTHROUGH_BYTES} bytes as JSON")
    return plain
