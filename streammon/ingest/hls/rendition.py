"""Chooses which rendition of a stream to watch: just good enough, since its size is what decoding costs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist_entities import Variant

# What 720 lines usually take, by Apple's authoring specification for HLS: the scale on which a rendition that gives no
# resolution is judged by its bandwidth.
_BITS_AT_720 = 3_000_000
_NOT_VIDEO = (
    *("mp4a", "mp3", "ac-3", "ec-3", "ac-4", "opus", "flac", "alac", "vorbis", "dts", "mha", "mhm"),
    *("stpp", "wvtt", "tx3g"),
)


def choose_variant(variants: Sequence[Variant], max_height: int = 720) -> Variant:
    """The highest rendition of at most `max_height` lines; where all have more, the lowest.

    Of equals the one of the lowest bandwidth, then the one named first. Lines are counted along the shorter side, so
    that an upright 720x1280 is 720 high. One without a resolution counts as its bandwidth suggests. Audio-only ones
    are taken only where there is no other. Raises SourceNotMedia where there is none at all.
    """
    pool = [variant for variant in variants if not _audio_only(variant)] or list(variants)
    if not pool:
        raise SourceNotMedia("the playlist names no rendition; check that the stream is published")
    fits = [variant for variant in pool if _height(variant) <= max_height]
    if fits:
        return min(fits, key=lambda variant: (-_height(variant), _bandwidth(variant)))
    return min(pool, key=lambda variant: (_height(variant), _bandwidth(variant)))


def _height(variant: Variant) -> float:
    if variant.width is not None and variant.height is not None:
        return min(variant.width, variant.height)
    return 720 * sqrt(_bandwidth(variant) / _BITS_AT_720)


def _bandwidth(variant: Variant) -> float:
    return variant.bandwidth if variant.bandwidth is not None else inf


def _audio_only(variant: Variant) -> bool:
    if variant.codecs is None or variant.height is not None:
        return False
    return all(codec.strip().lower().startswith(_NOT_VIDEO) for codec in variant.codecs.split(","))
