"""Where a picture lies in its store: a path made by an operator's template from names that strangers chose. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from streammon.events import EvidenceKind

DEFAULT_TEMPLATE = "{tenant}/{room}/{date}/{time}-{incident}-{sha}.jpg"
NAME_BYTES = 120
"""The longest name made from an id; file systems end at 255, and a file's name holds more than an id."""
SHA_CHARACTERS = 12
_SUFFIX = ".jpg"
_FREE = {"tenant", "room", "incident"}
"""Fields of any length. A segment holds one at most: else two ids could be cut at two places and give one name."""
_SHAPES = {
    **dict.fromkeys(_FREE, r"[A-Za-z0-9_.~%=-]+"),
    "date": r"\d{8}",
    "time": r"\d{6}\.\d{6}",
    "sha": rf"[0-9a-f]{{{SHA_CHARACTERS}}}",
}
"""Each field's name → what its values match."""
_LONGEST = {**dict.fromkeys(_FREE, NAME_BYTES), "date": 8, "time": 13, "sha": SHA_CHARACTERS}
_REQUIRED = ("tenant", "room", "incident", "sha")
_SEGMENT_BYTES = 220
_PATH_BYTES = 900
"""S3 ends at 1024 bytes, a bucket's own prefix included (Amazon S3 User Guide, "Naming Amazon S3 objects")."""
_PART = re.compile(r"\{([a-z]+)\}|([A-Za-z0-9_.=-]+)")
_GLUED = re.compile(r"[A-Za-z0-9]\{|\}[A-Za-z0-9]")
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
"""Names that Windows keeps for itself ("Naming Files, Paths, and Namespaces"): evidence may lie on a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a path is made of. `at` is when the frame was received, aware."""

    tenant: str
    room_id: str
    incident_id: str
    at: datetime
    sha256: str


class PathTemplate:
    """Makes paths, and recognises those of one room or tenant.

    Raises ValueError where the text is no template: it consists of segments divided by `/`, of plain characters and
    the fields tenant, room, incident, sha (these four must be there), date and time, and ends in `.jpg`.
    """

    def __init__(self, text: str) -> None:
        if not text.endswith(_SUFFIX):
            raise ValueError(f"should end in {_SUFFIX}")
        self._text = text.removesuffix(_SUFFIX)
        segments = [_parse(segment) for segment in self._text.split("/")]
        named = [name for parts in segments for name, _ in parts if name]
        if missing := [name for name in _REQUIRED if name not in named]:
            raise ValueError(f"lacks {{{missing[0]}}}: without it pictures could not be told apart, or deleted")
        if segments[-1][-1][0] in _FREE:
            raise ValueError("should not end in a name of any length: it could look like a copy's; end in {sha}.jpg")
        if sum(map(_length, segments)) + len(segments) > _PATH_BYTES:
            raise ValueError(f"could make paths of more than {_PATH_BYTES} bytes")
        self._segments = segments

    def key(self, place: Place) -> str:
        """The snapshot's path: relative, ASCII, each segment a plain name; different places give different paths."""
        utc = place.at.astimezone(UTC)
        values = {
            "tenant": safe_name(place.tenant),
            "room": safe_name(place.room_id),
            "incident": safe_name(place.incident_id),
            "date": f"{utc:%Y%m%d}",
            "time": f"{utc:%H%M%S.%f}",
            "sha": place.sha256[:SHA_CHARACTERS],
        }
        return self._text.format_map(values) + _SUFFIX

    def prefix(self, *, tenant: str | None = None, room_id: str | None = None) -> str:
        """The folder, without `/` at its end, below which all paths of the tenant's room lie; "" is the whole store."""
        known = _known(tenant, room_id)
        folders = []
        for parts in self._segments[:-1]:
            if any(name and name not in known for name, _ in parts):
                break
            folders.append("".join(known[name] if name else literal for name, literal in parts))
        return "/".join(folders)

    def pattern(self, *, tenant: str | None = None, room_id: str | None = None) -> re.Pattern[str]:
        """Matches, whole, the paths of the tenant's room, or of all where None, and those of copies made of them."""
        known = _known(tenant, room_id)
        segments = [
            "".join(_shape(name, known) if name else re.escape(literal) for name, literal in parts)
            for parts in self._segments
        ]
        kinds = "|".join(kind for kind in EvidenceKind if kind is not EvidenceKind.SNAPSHOT)
        return re.compile(rf"{'/'.join(segments)}(?:\.(?:{kinds}))?{re.escape(_SUFFIX)}")


def copy_key(key: str, kind: EvidenceKind) -> str:
    """The path, or the URL, of a copy, beside the snapshot that it was made from."""
    return key if kind is EvidenceKind.SNAPSHOT else f"{key.removesuffix(_SUFFIX)}.{kind}{_SUFFIX}"


def safe_name(text: str) -> str:
    """Percent-encoded, so reversible; where that is too long, cut, with a hash behind "=", which is always encoded.

    Whatever is in the text, the name is plain ASCII, no device's, and has no dot at its ends; different texts give
    different names.
    """
    name = quote(text, safe="", errors="surrogatepass")
    if name.startswith(".") or _DEVICES.fullmatch(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name.endswith("."):
        name = f"{name[:-1]}%2E"
    if 0 < len(name) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{name[: NAME_BYTES - 33]}={digest}"


def _parse(segment: str) -> list[tuple[str, str]]:
    """The parts of a segment, each a field's name or, with "" for that, plain text."""
    parts = [(match[1] or "", match[2] or "") for match in _PART.finditer(segment)]
    if "".join(f"{{{name}}}" if name else literal for name, literal in parts) != segment or not segment:
        raise ValueError(f"has a segment {segment!r}: it should be of letters, digits, . _ - = and {{fields}}")
    if unknown := [name for name, _ in parts if name and name not in _SHAPES]:
        raise ValueError(f"has {{{unknown[0]}}}; the fields are {', '.join(sorted(_SHAPES))}")
    if _GLUED.search(segment):
        raise ValueError(f"has a segment {segment!r}: divide fields from text by . _ - or =")
    if segment[0] == "." or segment[-1] == "." or _DEVICES.fullmatch(segment):
        raise ValueError(f"has a segment {segment!r}, which is hidden, or special to some system")
    if sum(name in _FREE for name, _ in parts) > 1:
        raise ValueError(f"has a segment {segment!r} with two names of any length: divide them by /")
    if _length(parts) > _SEGMENT_BYTES:
        raise ValueError(f"has a segment that could be longer than {_SEGMENT_BYTES} bytes")
    return parts


def _length(parts: list[tuple[str, str]]) -> int:
    """How long a segment can become, in bytes."""
    return sum(_LONGEST[name] if name else len(literal) for name, literal in parts)


def _known(tenant: str | None, room_id: str | None) -> dict[str, str]:
    given = {"tenant": tenant, "room": room_id}
    return {name: safe_name(value) for name, value in given.items() if value is not None}


def _shape(name: str, known: dict[str, str]) -> str:
    return re.escape(known[name]) if name in known else _SHAPES[name]
