"""Reads the text of an HLS playlist, as broken as servers send it. Pure: no I/O, any thread.

Written for RFC 8216 and for what players forgive. Nothing but SourceNotMedia comes out of it, time and memory are
bounded, and no segment is left out in silence. Low-latency parts, hints and reports are passed over: their segments
follow whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist_entities import MasterPlaylist, MediaPlaylist, Variant
from streammon.ingest.hls.playlist_lines import absolute, attributes, decimal, resolution, split_lines
from streammon.ingest.hls.playlist_media import read_media

MAX_CHARACTERS = 4 << 20
MAX_LINES = 150_000
"""Enough for a day of two-second segments with a date each."""

_STREAM_INF = "#EXT-X-STREAM-INF"
# One of these says what kind of playlist it is (as hls.js decides it).
_MEDIA_TAGS = frozenset({"#EXTINF", "#EXT-X-TARGETDURATION"})


def parse_playlist(text: str, base_url: str) -> MediaPlaylist | MasterPlaylist:
    """What the playlist says; its addresses are taken as relative to `base_url`, where it was finally found.

    Raises SourceNotMedia, with a reason that holds no part of the text, where it is no playlist or beyond reading.
    """
    if len(text) > MAX_CHARACTERS:
        raise SourceNotMedia("the playlist is larger than 4 MiB; have the server list fewer segments")
    lines = list(islice(split_lines(text), MAX_LINES + 1))
    if len(lines) > MAX_LINES:
        raise SourceNotMedia(f"the playlist has more than {MAX_LINES:,} lines; have the server list fewer segments")
    tags = {tag for tag, _ in lines}
    if "#EXT-X-DEFINE" in tags:
        raise SourceNotMedia("the playlist uses variables (EXT-X-DEFINE), which are not read; have it sent without")
    if tags & _MEDIA_TAGS:
        if _STREAM_INF in tags:
            raise SourceNotMedia("the playlist names both segments and renditions; check the packager")
        return read_media(lines, base_url)
    if _STREAM_INF in tags:
        return _read_master(lines, base_url)
    if "#EXTM3U" in tags:
        raise SourceNotMedia("the playlist names neither segments nor renditions; check that the stream is published")
    raise SourceNotMedia("the answer is no HLS playlist; check that the URL is the stream, not a page")


def _read_master(lines: Sequence[tuple[str, str]], base_url: str) -> MasterPlaylist:
    variants: list[Variant] = []
    announced: str | None = None
    for tag, value in lines:
        if tag == _STREAM_INF:
            announced = value
        elif not tag and announced is not None:
            variants.append(_variant(attributes(announced), absolute(base_url, value)))
            announced = None
    if not variants:
        raise SourceNotMedia("the playlist announces renditions but gives no address of one; check the packager")
    return MasterPlaylist(variants=tuple(variants))


def _variant(said: dict[str, str], uri: str) -> Variant:
    size = resolution(said.get("RESOLUTION", ""))
    bandwidth = decimal(said.get("BANDWIDTH", ""))
    return Variant(
        uri=uri,
        # 0 is what services send for a rendition that they pass through unmeasured.
        bandwidth=int(bandwidth) if bandwidth else None,
        width=size[0] if size is not None else None,
        height=size[1] if size is not None else None,
        codecs=said.get("CODECS") or None,
        frame_rate=decimal(said.get("FRAME-RATE", "")),
    )
