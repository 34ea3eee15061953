"""What an HLS playlist says, as data: segments and how to read their bytes, renditions. No I/O.

Read by `playlist`. Terms and defaults are those of RFC 8216, sections 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from streammon.ingest.source import ByteRange

IDENTITY = "identity"
"""The key format in which a key's URI simply gives its 16 bytes."""

_IV_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """How segments are encrypted.

    `method` is as the playlist names it (`AES-128`, `SAMPLE-AES`, …) and never `NONE`. `uri` is absolute. `iv` is 16
    bytes, or None where the playlist gives none. `key_format` is `identity` unless a DRM system keeps the key.
    """

    method: str
    uri: str
    iv: bytes | None = None
    key_format: str = IDENTITY

    def iv_for(self, sequence: int) -> bytes:
        """The 16 bytes that the segment of this sequence number starts from (section 5.2).

        An init section has no number; players that meet one without an `iv` take 0.
        """
        if self.iv is not None:
            return self.iv
        return (sequence % (1 << 8 * _IV_BYTES)).to_bytes(_IV_BYTES, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSection:
    """What must be read before a segment's own bytes (fMP4 header). `uri` is absolute.

    `key` is the one in force where the section was named, which need not be the segments'; None: not encrypted.
    """

    uri: str
    byte_range: ByteRange | None = None
    key: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of media. `uri` is absolute, as far as the playlist's own address was.

    `sequence` rises by one per segment; `duration_s` is what the playlist says, and may be 0.
    `discontinuity_sequence` changes where clock and encoding start anew. `program_at` is the publisher's wall clock at
    the segment's start, UTC; None where the playlist gives none that holds here. `byte_range`, `init` and `key` are
    None for the whole resource, no header, no encryption. A `gap` is known to be missing and not worth asking for.
    """

    uri: str
    sequence: int
    duration_s: float
    discontinuity_sequence: int
    program_at: datetime | None = None
    byte_range: ByteRange | None = None
    init: InitSection | None = None
    key: Key | None = None
    gap: bool = False

    @property
    def ends_at(self) -> datetime | None:
        """The publisher's wall clock at the segment's end, UTC; None where it is not known."""
        return later(self.program_at, self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """One rendition's segments, oldest first; none where a stream has not begun.

    `target_duration_s` is above 0. `media_sequence` and `discontinuity_sequence` are the playlist's own, which hold at
    its start; its first segments may be left out here (see `playlist.MAX_SEGMENTS`). `ended`: none will be added.
    """

    target_duration_s: float
    media_sequence: int
    discontinuity_sequence: int
    segments: tuple[Segment, ...]
    ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One rendition of a stream. `uri` is absolute; `bandwidth` is the peak in bits/s; None: not said."""

    uri: str
    bandwidth: int | None = None
    width: int | None = None
    height: int | None = None
    codecs: str | None = None
    frame_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterPlaylist:
    """The renditions to choose from, at least one, in the publisher's order of preference."""

    variants: tuple[Variant, ...]


def later(moment: datetime | None, seconds: float) -> datetime | None:
    """The moment so many seconds after; None for none, and where the calendar ends."""
    try:
        return moment + timedelta(seconds=seconds) if moment is not None else None
    except OverflowError:
        return None
