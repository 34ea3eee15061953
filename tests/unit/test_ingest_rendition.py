"""The rendition that is watched is just good enough, whatever the publisher says of it or leaves out."""

from __future__ import annotations

import pytest

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist_entities import Variant
from streammon.ingest.hls.rendition import choose_variant


def variant(name: str, size: str = "", kbps: int | None = None, codecs: str | None = None) -> Variant:
    width, height = (int(side) for side in size.split("x")) if size else (None, None)
    bandwidth = kbps * 1000 if kbps is not None else None
    return Variant(uri=name, bandwidth=bandwidth, width=width, height=height, codecs=codecs)


@pytest.mark.parametrize(
    ("max_height", "chosen"), [(2160, "1080"), (1079, "720"), (720, "720"), (500, "480"), (100, "160")]
)
def test_the_highest_that_is_not_too_high(max_height: int, chosen: str) -> None:
    ladder = [variant("1080", "1920x1080", 6000), variant("160", "284x160", 230)]
    ladder += [variant("720", "1280x720", 3000), variant("480", "852x480", 1400)]
    assert choose_variant(ladder, max_height).uri == chosen


def test_of_equals_the_smallest_then_the_first() -> None:
    ladder = [variant("a", "1280x720"), variant("b", "1280x720", 4500), variant("c", "1280x720", 3000)]
    assert choose_variant([*ladder, variant("d", "1280x720", 3000)]).uri == "c"


def test_upright_pictures_are_as_high_as_they_are_wide() -> None:
    assert (
        choose_variant([variant("480", "480x854"), variant("720", "720x1280"), variant("1080", "1080x1920")]).uri
        == "720"
    )


def test_sound_alone_only_where_there_is_no_more() -> None:
    sound = variant("sound", kbps=64, codecs="mp4a.40.2")
    assert choose_variant([sound, variant("4k", "3840x2160", 20_000)]).uri == "4k"
    assert choose_variant([sound, variant("muxed", kbps=9000, codecs="mp4a.40.2,avc1.4d401f")]).uri == "muxed"
    assert choose_variant([sound]).uri == "sound"


def test_without_resolutions_bandwidth_decides() -> None:
    ladder = [variant("huge", kbps=9000), variant("good", kbps=2500), variant("poor", kbps=300)]
    assert choose_variant(ladder).uri == "good"
    assert choose_variant(ladder, max_height=1300).uri == "huge"
    assert choose_variant(ladder[:1]).uri == "huge"


def test_without_anything_the_publishers_first() -> None:
    assert choose_variant([variant("first"), variant("second")]).uri == "first"


def test_one_that_says_nothing_is_no_match_for_one_that_does() -> None:
    assert choose_variant([variant("silent"), variant("1080", "1920x1080", 6000)]).uri == "1080"


def test_of_none_none_is_chosen() -> None:
    with pytest.raises(SourceNotMedia):
        choose_variant([])
