"""Reads the lines of a media playlist into segments. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist_entities import IDENTITY, InitSection, Key, MediaPlaylist, Segment, later
from streammon.ingest.hls.playlist_lines import (
    absolute,
    attributes,
    byte_range,
    date_time,
    duration_s,
    initialisation_vector,
    integer,
    looks_like_uri,
)
from streammon.ingest.source import ByteRange

MAX_SEGMENTS = 20_000
"""Of a longer playlist the last ones are kept; at two seconds each, that is eleven hours."""

Line = tuple[str, str]


def read_media(lines: Sequence[Line], base_url: str) -> MediaPlaylist:
    """The playlist whose lines, as (tag, value), these are. Raises SourceNotMedia."""
    header = _Header(lines)
    reader = _SegmentReader(header, base_url)
    for tag, value in lines:
        reader.read(tag, value)
    dated = _date_backwards(reader.segments)
    return MediaPlaylist(
        target_duration_s=header.target_duration_s,
        media_sequence=header.media_sequence,
        discontinuity_sequence=header.discontinuity_sequence,
        # Joining an address costs more than all the rest, so it is done for those that are kept.
        segments=tuple(replace(segment, uri=absolute(base_url, segment.uri)) for segment in dated),
        ended=header.ended,
    )


class _Header:
    """What holds for the whole playlist, wherever in it it is said; said twice, the last counts."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.media_sequence = 0
        self.discontinuity_sequence = 0
        self.ended = False
        target: float | None = None
        longest = 0.0
        for tag, value in lines:
            if tag == "#EXTINF":
                longest = max(longest, duration_s(value) or 0.0)
            elif tag == "#EXT-X-TARGETDURATION":
                target = duration_s(value) or target
            elif tag == "#EXT-X-MEDIA-SEQUENCE":
                self.media_sequence = integer(value) or 0
            elif tag == "#EXT-X-DISCONTINUITY-SEQUENCE":
                self.discontinuity_sequence = integer(value) or 0
            elif tag == "#EXT-X-ENDLIST":
                self.ended = True
        # A playlist that says no duration at all is a list of channels, or nothing.
        self.target_duration_s = target if target is not None else longest
        if self.target_duration_s <= 0:
            raise SourceNotMedia("the playlist names no durations, so it is no HLS stream; give one channel's own URL")


@dataclass(slots=True)
class _Next:
    """What has been said of the segment whose URI comes next."""

    announced: bool = False
    duration_s: float | None = None
    program_at: datetime | None = None
    discontinuity: bool = False
    byte_range: str | None = None
    gap: bool = False


class _SegmentReader:
    """Goes through the lines once. `segments` are the last MAX_SEGMENTS of those read, each `uri` as it is written."""

    def __init__(self, header: _Header, base_url: str) -> None:
        self.segments: deque[Segment] = deque(maxlen=MAX_SEGMENTS)
        self._base_url = base_url
        self._target_duration_s = header.target_duration_s
        self._sequence = header.media_sequence
        self._discontinuity_sequence = header.discontinuity_sequence
        self._next = _Next()
        self._clock: datetime | None = None
        self._range_end = 0
        self._keys: dict[str, Key] = {}
        self._init: InitSection | None = None
        self._tags = {
            "": self._read_uri,
            "#EXTINF": self._read_duration,
            "#EXT-X-BYTERANGE": self._read_byte_range,
            "#EXT-X-DISCONTINUITY": self._read_discontinuity,
            "#EXT-X-GAP": self._read_gap,
            "#EXT-X-KEY": self._read_key,
            "#EXT-X-MAP": self._read_map,
            "#EXT-X-PROGRAM-DATE-TIME": self._read_date_time,
            "#EXT-X-SKIP": _refuse_delta,
        }

    def read(self, tag: str, value: str) -> None:
        """Takes the next line. Tags that say nothing about segments are passed over. Raises SourceNotMedia."""
        take = self._tags.get(tag)
        if take is not None:
            take(value)

    def _read_duration(self, value: str) -> None:
        self._next.announced = True
        self._next.duration_s = duration_s(value)

    def _read_byte_range(self, value: str) -> None:
        self._next.announced = True
        self._next.byte_range = value

    def _read_discontinuity(self, _: str) -> None:
        self._next.discontinuity = True
        self._discontinuity_sequence += 1

    def _read_gap(self, _: str) -> None:
        self._next.gap = True

    def _read_date_time(self, value: str) -> None:
        self._next.program_at = date_time(value)

    def _read_key(self, value: str) -> None:
        said = attributes(value)
        method, uri = said.get("METHOD"), said.get("URI")
        if method == "NONE":
            self._keys.clear()
            return
        if not method or not uri:
            raise SourceNotMedia("the playlist has a key without method or address; check the packager")
        iv = said.get("IV")
        key_format = said.get("KEYFORMAT", IDENTITY)
        self._keys[key_format] = Key(
            method=method,
            uri=absolute(self._base_url, uri),
            iv=initialisation_vector(iv) if iv is not None else None,
            key_format=key_format,
        )

    def _read_map(self, value: str) -> None:
        said = attributes(value)
        uri, part = said.get("URI"), said.get("BYTERANGE")
        if not uri:
            raise SourceNotMedia("the playlist has an init section without address; check the packager")
        self._init = InitSection(
            uri=absolute(self._base_url, uri),
            byte_range=byte_range(part, 0) if part is not None else None,
            key=self._key(),
        )

    def _read_uri(self, uri: str) -> None:
        said = self._next
        # Players differ over an address that no EXTINF announces; leaving it out would be a loss nobody sees.
        if not said.announced and not looks_like_uri(uri):
            return
        lasts_s = said.duration_s if said.duration_s is not None else self._target_duration_s
        segment = Segment(
            uri=uri,
            sequence=self._sequence,
            duration_s=lasts_s,
            discontinuity_sequence=self._discontinuity_sequence,
            program_at=self._program_at(),
            byte_range=self._byte_range(),
            init=self._init,
            key=self._key(),
            gap=said.gap,
        )
        self.segments.append(segment)
        self._sequence += 1
        self._clock = segment.ends_at
        self._next = _Next()

    def _program_at(self) -> datetime | None:
        if self._next.program_at is not None:
            return self._next.program_at
        return None if self._next.discontinuity else self._clock

    def _byte_range(self) -> ByteRange | None:
        # As players do, a range without offset goes on from the segment before, of whatever resource that was.
        said = self._next.byte_range
        part = byte_range(said, self._range_end) if said is not None else None
        self._range_end = part.offset + part.length if part is not None else 0
        return part

    def _key(self) -> Key | None:
        # Keys of several formats hold at once and open the same segment; the one that needs no DRM system is ours.
        return self._keys.get(IDENTITY) or next(iter(self._keys.values()), None)


def _refuse_delta(_: str) -> None:
    raise SourceNotMedia("the playlist is a delta update, which lacks segments; take _HLS_skip out of the URL")


def _date_backwards(segments: Iterable[Segment]) -> list[Segment]:
    """Dates the segments before the first date of their stretch by its date (section 4.3.2.6)."""
    dated = list(segments)
    for here in range(len(dated) - 2, -1, -1):
        segment, after = dated[here], dated[here + 1]
        if segment.program_at is None and segment.discontinuity_sequence == after.discontinuity_sequence:
            dated[here] = replace(segment, program_at=later(after.program_at, -segment.duration_s))
    return dated
