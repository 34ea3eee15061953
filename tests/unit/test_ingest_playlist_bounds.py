"""Whatever text a server sends: it is read or refused, within bounds, and what is read holds together."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist import parse_playlist
from streammon.ingest.hls.playlist_entities import MasterPlaylist, MediaPlaylist
from streammon.ingest.hls.playlist_media import MAX_SEGMENTS
from streammon.ingest.hls.rendition import choose_variant

BASE = "https://cdn.example/live/room/index.m3u8"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"


def media(body: str) -> MediaPlaylist:
    playlist = parse_playlist(HEAD + body, BASE)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def test_of_too_many_segments_the_last_are_kept() -> None:
    count = MAX_SEGMENTS + 50
    body = "".join(f"#EXTINF:4,\n{number}.ts\n" for number in range(count))
    read = media("#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:00Z\n" + body)
    assert len(read.segments) == MAX_SEGMENTS
    assert read.media_sequence == 7
    last = read.segments[-1]
    assert (last.sequence, last.program_at) == (
        7 + count - 1,
        datetime(2024, 5, 1, 12, tzinfo=UTC) + timedelta(seconds=4 * (count - 1)),
    )
    assert last.uri.endswith(f"/{count - 1}.ts")
    assert read.segments[0].sequence == 7 + 50


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "#EXT-X-KEY:" + "A" * 2_000_000,
        HEAD + "#EXT-X-KEY:" + ',A="' * 500_000,
        HEAD + "#EXT-X-KEY:" + ", " * 1_000_000,
        HEAD + "#EXT-X-KEY:," + " " * 2_000_000,
        HEAD + "#EXT-X-KEY:" + ",A=1" * 500_000,
        HEAD + "#EXTINF:" + "9" * 2_000_000 + "\na.ts",
        HEAD + "#EXT-X-MEDIA-SEQUENCE:" + "9" * 2_000_000 + "\na.ts",
        HEAD + "#EXT-X-PROGRAM-DATE-TIME:" + "2" * 2_000_000 + "\na.ts",
        HEAD + "#EXTINF:4,\n" + "../" * 600_000,
        HEAD + "".join(f'#EXT-X-KEY:METHOD=A,URI=k,KEYFORMAT="{n}"\na\n' for n in range(20_000)),
        HEAD + "\n" * 2_000_000,
        "#EXTM3U\n" + "#EXT-X-STREAM-INF:BANDWIDTH=1\na\n" * 20_000,
    ],
    ids=lambda text: f"{text[len(HEAD) : len(HEAD) + 24]!r}",
)
def test_no_text_takes_long(text: str) -> None:
    began_s = time.process_time()
    with suppress(SourceNotMedia):
        parse_playlist(text, BASE)
    # A second at most here; what is quadratic takes minutes.
    assert time.process_time() - began_s < 5.0


TAGS = (
    *("#EXTM3U", "#EXTINF:", "#EXT-X-TARGETDURATION:", "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP"),
    *("#EXT-X-DISCONTINUITY-SEQUENCE:", "#EXT-X-BYTERANGE:", "#EXT-X-PROGRAM-DATE-TIME:", "#EXT-X-STREAM-INF:"),
    *("#EXT-X-KEY:METHOD=AES-128,URI=", "#EXT-X-KEY:METHOD=NONE", "#EXT-X-MAP:URI=", "#EXT-X-ENDLIST", ""),
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(["seg.ts", "http://[::1", '"k",IV=0x1', "RESOLUTION=1x1,BANDWIDTH=5", "10@5", "5,title"]),
)
LINES = st.builds("{}{}".format, st.sampled_from(TAGS), VALUES)


def check_sound(playlist: MediaPlaylist | MasterPlaylist) -> None:
    """What holds of every playlist that is not refused."""
    if isinstance(playlist, MasterPlaylist):
        assert choose_variant(playlist.variants) in playlist.variants
        return
    assert 0 < playlist.target_duration_s <= 86_400
    for number, segment in enumerate(playlist.segments):
        assert segment.sequence == playlist.media_sequence + number
        assert 0 <= segment.duration_s <= 86_400
        assert segment.discontinuity_sequence >= playlist.discontinuity_sequence
        assert segment.program_at is None or segment.program_at.tzinfo is UTC
        assert segment.byte_range is None or (segment.byte_range.length > 0 and segment.byte_range.offset >= 0)
        assert segment.key is None or len(segment.key.iv_for(segment.sequence)) == 16


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(SourceNotMedia):
        check_sound(parse_playlist(text, BASE))


@given(st.lists(LINES, max_size=25), st.sampled_from(["\n", "\r\n", "\r", "\n \n"]), st.booleans())
def test_any_lines_of_playlists_are_read_or_refused(lines: list[str], end: str, headed: bool) -> None:
    with suppress(SourceNotMedia):
        check_sound(parse_playlist((HEAD if headed else "") + end.join(lines), BASE))


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), max_size=30), st.integers(0, 1 << 40))
def test_no_segment_is_lost_and_none_made_up(listed: list[tuple[float, bool]], first: int) -> None:
    body = "".join(
        ("#EXT-X-DISCONTINUITY\n" if new else "") + f"#EXTINF:{duration_s:.6f},\n{number}.ts\n"
        for number, (duration_s, new) in enumerate(listed)
    )
    read = media(f"#EXT-X-MEDIA-SEQUENCE:{first}\n{body}").segments
    assert [segment.uri.rpartition("/")[2] for segment in read] == [f"{number}.ts" for number in range(len(listed))]
    assert [segment.sequence for segment in read] == list(range(first, first + len(listed)))
    assert [segment.duration_s for segment in read] == pytest.approx([duration_s for duration_s, _ in listed], abs=1e-6)
    stretches = [0, *(segment.discontinuity_sequence for segment in read)]
    assert [after - before for before, after in pairwise(stretches)] == [int(new) for _, new in listed]
