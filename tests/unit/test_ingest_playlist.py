"""Playlists are read as RFC 8216 and players read them: no segment lost in silence, nothing guessed about its bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streammon.errors import SourceNotMedia
from streammon.ingest.hls.playlist import MAX_CHARACTERS, MAX_LINES, parse_playlist
from streammon.ingest.hls.playlist_entities import (
    InitSection,
    Key,
    MasterPlaylist,
    MediaPlaylist,
    Segment,
    Variant,
)
from streammon.ingest.source import ByteRange

BASE = "https://cdn.example/live/room/index.m3u8?token=t0ken"
PLAIN_KEY = 'METHOD=AES-128,URI="k"'
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"


def media(text: str) -> MediaPlaylist:
    playlist = parse_playlist(text, BASE)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def segments(body: str) -> tuple[Segment, ...]:
    return media(HEAD + body).segments


def names(body: str) -> list[str]:
    return [segment.uri.removeprefix("https://cdn.example/live/room/") for segment in segments(body)]


def master(text: str) -> tuple[Variant, ...]:
    playlist = parse_playlist(text, BASE)
    assert isinstance(playlist, MasterPlaylist)
    return playlist.variants


def at(seconds: float) -> datetime:
    return datetime(2024, 5, 1, 12, 0, tzinfo=UTC) + timedelta(seconds=seconds)


def test_a_live_playlist() -> None:
    playlist = media(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:17\n"
        "#EXTINF:4.0,\na.ts\n#EXTINF:3.5,a title, with commas\nb.ts\n"
    )
    assert playlist == MediaPlaylist(
        target_duration_s=4.0,
        media_sequence=17,
        discontinuity_sequence=0,
        segments=(
            Segment(uri="https://cdn.example/live/room/a.ts", sequence=17, duration_s=4.0, discontinuity_sequence=0),
            Segment(uri="https://cdn.example/live/room/b.ts", sequence=18, duration_s=3.5, discontinuity_sequence=0),
        ),
        ended=False,
    )


def test_a_playlist_ends_where_it_says_so() -> None:
    assert media(HEAD + "#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n").ended


def test_a_stream_that_has_not_begun_has_no_segments() -> None:
    assert media(HEAD + "#EXT-X-MAP:URI='init.mp4'\n").segments == ()


@pytest.mark.parametrize(
    ("uri", "full"),
    [
        ("a.ts?n=1", "https://cdn.example/live/room/a.ts?n=1"),
        ("/a.ts", "https://cdn.example/a.ts"),
        ("../a.ts", "https://cdn.example/live/a.ts"),
        ("//other.example/a.ts", "https://other.example/a.ts"),
        ("http://other.example/a.ts", "http://other.example/a.ts"),
        ("a segment.ts", "https://cdn.example/live/room/a segment.ts"),
    ],
)
def test_addresses_are_absolute(uri: str, full: str) -> None:
    assert segments(f"#EXTINF:4,\n{uri}\n")[0].uri == full


class TestForgiving:
    """What players put up with."""

    @pytest.mark.parametrize(
        "text",
        [
            "\ufeff" + HEAD + "#EXTINF:4,\na.ts\n",
            (HEAD + "#EXTINF:4,\na.ts\n").replace("\n", "\r\n"),
            (HEAD + "#EXTINF:4,\na.ts\n").replace("\n", "\r"),
            (HEAD + "#EXTINF:4,\n\n  \n\ta.ts  "),
            "# a comment\n" + HEAD + "#EXTINF:4,\n# another\n#EXT-X-NEVER-HEARD-OF:A=1\na.ts\n",
            "#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n",
            "#EXTM3U#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n",
            '#EXTM3U url-tvg="x"\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n',
            HEAD + "#EXT-X-VERSION:NaN\n#EXT-X-PLAYLIST-TYPE:?\n#EXT-X-START:TIME-OFFSET=\n#EXTINF:4,\na.ts\n",
            HEAD + "#EXT-X-DATERANGE:ID=\n#EXT-X-BITRATE:?\n#EXT-X-PROGRAM-DATE-TIME:soon\n#EXTINF:4,\na.ts\n",
            HEAD + "#EXT-X-MEDIA-SEQUENCE:\n#EXT-X-DISCONTINUITY-SEQUENCE:x\n#EXTINF:4,\na.ts\n",
            HEAD + "#EXTINF:4,\x85title\u2028more\na.ts\n",
        ],
    )
    def test_the_segment_is_read(self, text: str) -> None:
        (segment,) = media(text).segments
        assert (segment.uri, segment.sequence) == ("https://cdn.example/live/room/a.ts", 0)
        assert segment.duration_s == 4.0

    @pytest.mark.parametrize("duration", ["", "junk", "-1", "nan", "inf", "1e999", "9" * 400, "90000"])
    def test_a_junk_duration_is_the_target_duration(self, duration: str) -> None:
        expected = 1.0 if duration == "1e999" else 4.0
        assert segments(f"#EXTINF:{duration},\na.ts\n")[0].duration_s == expected

    @pytest.mark.parametrize(("duration", "read_s"), [("2", 2.0), ("2.5", 2.5), (" .5 ", 0.5), ("0", 0.0), ("3.", 3.0)])
    def test_durations(self, duration: str, read_s: float) -> None:
        assert segments(f"#EXTINF:{duration}\na.ts\n")[0].duration_s == read_s

    @pytest.mark.parametrize("target", ["", "#EXT-X-TARGETDURATION:-4\n", "#EXT-X-TARGETDURATION:0\n"])
    def test_without_a_target_duration_the_longest_segment_gives_it(self, target: str) -> None:
        assert media(f"#EXTM3U\n{target}#EXTINF:2,\na.ts\n#EXTINF:6,\nb.ts\n").target_duration_s == 6.0

    @pytest.mark.parametrize(("value", "first"), [("5", 5), ("-3", -3), ("7.0", 7), (str(2**64 - 1), 2**64 - 1)])
    def test_sequence_numbers(self, value: str, first: int) -> None:
        read = segments(f"#EXT-X-MEDIA-SEQUENCE:{value}\n#EXTINF:4,\na.ts\n#EXTINF:4,\nb.ts\n")
        assert [segment.sequence for segment in read] == [first, first + 1]

    def test_of_two_sequence_numbers_the_last_holds(self) -> None:
        assert segments("#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-MEDIA-SEQUENCE:9\n#EXTINF:4,\na.ts\n")[0].sequence == 9

    def test_an_address_without_a_duration_is_a_segment(self) -> None:
        assert names("first.ts\n#EXTINF:2,\nsecond.ts\nthird.ts\n") == ["first.ts", "second.ts", "third.ts"]

    def test_stray_text_is_no_segment(self) -> None:
        assert names("{{#if vod}}\n\\\n<b>\n#EXTINF:2,\na.ts\nnot found\n") == ["a.ts"]

    def test_a_gap_is_marked(self) -> None:
        read = segments("#EXTINF:4,\na.ts\n#EXTINF:4,\n#EXT-X-GAP\nb.ts\n#EXTINF:4,\nc.ts\n")
        assert [segment.gap for segment in read] == [False, True, False]

    def test_parts_and_hints_of_low_latency_are_passed_over(self) -> None:
        body = '#EXTINF:4,\na.mp4\n#EXT-X-PART:DURATION=1,URI="b.0.mp4",GAP=YES\n#EXTINF:4,\nb.mp4\n'
        tail = '#EXT-X-PART:DURATION=1,URI="c.0.mp4"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="c.1.mp4"\n'
        assert names(body + tail) == ["a.mp4", "b.mp4"]
        assert not segments(body + tail)[1].gap


class TestDiscontinuities:
    def test_each_tag_counts(self) -> None:
        read = media(
            HEAD + "#EXT-X-DISCONTINUITY-SEQUENCE:3\n#EXTINF:4,\na.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nb.ts\n"
            "#EXTINF:4,\nc.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\nd.ts\n"
        )
        assert read.discontinuity_sequence == 3
        assert [segment.discontinuity_sequence for segment in read.segments] == [3, 4, 4, 6]

    def test_one_before_the_first_segment_counts_too(self) -> None:
        assert segments("#EXT-X-DISCONTINUITY\n#EXTINF:4,\na.ts\n")[0].discontinuity_sequence == 1


class TestClock:
    def dates(self, body: str) -> list[datetime | None]:
        return [segment.program_at for segment in segments(body)]

    def test_it_goes_on_by_durations_and_is_set_anew(self) -> None:
        body = (
            "#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:00Z\n#EXTINF:4,\na\n#EXTINF:2.5,\nb\n#EXTINF:4,\nc\n"
            "#EXTINF:4,\n#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:30.250Z\nd\n"
        )
        assert self.dates(body) == [at(0), at(4), at(6.5), at(30.25)]

    def test_segments_before_the_first_date_are_dated_by_it(self) -> None:
        assert self.dates(
            "#EXTINF:4,\na\n#EXTINF:2,\nb\n#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:00Z\n#EXTINF:4,\nc\n"
        ) == [at(-6), at(-2), at(0)]

    def test_a_discontinuity_ends_it_both_ways(self) -> None:
        dated = "#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:00Z\n#EXTINF:4,\nx\n"
        assert self.dates(f"{dated}#EXT-X-DISCONTINUITY\n#EXTINF:4,\na\n#EXTINF:4,\nb\n") == [at(0), None, None]
        assert self.dates(f"#EXTINF:4,\na\n#EXT-X-DISCONTINUITY\n{dated}") == [None, at(0)]

    def test_a_date_counts_whichever_side_of_the_discontinuity_tag_it_stands(self) -> None:
        assert self.dates("#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:00Z\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\na\n") == [
            at(0)
        ]

    @pytest.mark.parametrize(
        "value",
        [
            "2024-05-01T12:00:00.000Z",
            "2024-05-01T14:00:00+02:00",
            "2024-05-01T14:00:00+0200",
            "2024-05-01T08:00:00.000000000-04:00",
            "2024-05-01T12:00:00",
            " 2024-05-01 12:00:00Z",
        ],
    )
    def test_dates_are_utc_and_aware(self, value: str) -> None:
        (read,) = self.dates(f"#EXT-X-PROGRAM-DATE-TIME:{value}\n#EXTINF:4,\na\n")
        assert read == at(0)
        assert read.tzinfo is UTC

    def test_it_does_not_run_past_the_end_of_time(self) -> None:
        for value in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00"):
            assert (
                self.dates(f"#EXTINF:4,\na\n#EXT-X-PROGRAM-DATE-TIME:{value}\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n")[2]
                is None
            )


class TestByteRanges:
    def ranges(self, body: str) -> list[ByteRange | None]:
        return [segment.byte_range for segment in segments(body)]

    def test_one_without_offset_goes_on_where_the_last_one_ended(self) -> None:
        body = "#EXTINF:4,\n#EXT-X-BYTERANGE:100@50\na.ts\n#EXT-X-BYTERANGE:30\n#EXTINF:4,\na.ts\n"
        tail = "#EXTINF:4,\n#EXT-X-BYTERANGE:20@\na.ts\n"
        assert self.ranges(body + tail) == [
            ByteRange(offset=50, length=100),
            ByteRange(offset=150, length=30),
            ByteRange(offset=180, length=20),
        ]

    def test_it_is_for_one_segment_only(self) -> None:
        body = "#EXTINF:4,\n#EXT-X-BYTERANGE:100@50\na.ts\n#EXTINF:4,\nb.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:7\nc.ts\n"
        assert self.ranges(body) == [ByteRange(offset=50, length=100), None, ByteRange(offset=0, length=7)]

    @pytest.mark.parametrize("value", ["", "junk", "@5", "0@5", "-3@0", "1@x", "9" * 30])
    def test_one_that_is_none_is_refused(self, value: str) -> None:
        with pytest.raises(SourceNotMedia, match="byte range"):
            segments(f"#EXTINF:4,\n#EXT-X-BYTERANGE:{value}\na.ts\n")


class TestInitSections:
    def test_each_holds_until_the_next(self) -> None:
        read = segments(
            '#EXTINF:4,\na.mp4\n#EXT-X-MAP:URI="i1.mp4",BYTERANGE="812@0"\n#EXTINF:4,\nb.mp4\n#EXTINF:4,\nc.mp4\n'
            '#EXT-X-MAP:BYTERANGE="9",URI="/i2.mp4"\n#EXTINF:4,\nd.mp4\n'
        )
        first = InitSection(uri="https://cdn.example/live/room/i1.mp4", byte_range=ByteRange(offset=0, length=812))
        second = InitSection(uri="https://cdn.example/i2.mp4", byte_range=ByteRange(offset=0, length=9))
        assert [segment.init for segment in read] == [None, first, first, second]

    def test_it_is_encrypted_by_the_key_before_it(self) -> None:
        read = segments(
            '#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x01\n#EXT-X-MAP:URI="i"\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:4,\na\n'
        )
        assert read[0].key is None
        assert read[0].init is not None
        assert read[0].init.key == Key(
            method="AES-128", uri="https://cdn.example/live/room/k1", iv=b"\0" * 15 + b"\x01"
        )

    def test_one_without_address_is_refused(self) -> None:
        with pytest.raises(SourceNotMedia, match="init section"):
            segments('#EXT-X-MAP:BYTERANGE="1@0"\n#EXTINF:4,\na\n')


class TestKeys:
    def test_each_holds_until_the_next_or_none(self) -> None:
        read = segments(
            '#EXTINF:4,\na\n#EXT-X-KEY:METHOD=AES-128,URI="k1"\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n'
            '#EXT-X-KEY:URI="https://keys.example/2?a=1,2", METHOD=AES-128, IV=0X10ef\n#EXTINF:4,\nd\n'
            '#EXT-X-KEY:METHOD=NONE,URI=""\n#EXTINF:4,\ne\n'
        )
        first = Key(method="AES-128", uri="https://cdn.example/live/room/k1")
        second = Key(method="AES-128", uri="https://keys.example/2?a=1,2", iv=bytes(14) + b"\x10\xef")
        assert [segment.key for segment in read] == [None, first, first, second, None]

    def test_the_iv_is_by_default_the_sequence_number(self) -> None:
        key = Key(method="AES-128", uri="k")
        assert key.iv_for(0x0102) == bytes(14) + b"\x01\x02"
        assert key.iv_for(-1) == b"\xff" * 16
        assert Key(method="AES-128", uri="k", iv=bytes(16)).iv_for(5) == bytes(16)

    def test_of_several_formats_the_plain_one_is_taken(self) -> None:
        drm = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"\n'
        plain = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n'
        assert [segment.key and segment.key.key_format for segment in segments(f"{drm}a\n{plain}b\n{drm}c\n")] == [
            "com.apple.streamingkeydelivery",
            "identity",
            "identity",
        ]

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "junk",
            'URI="k"',
            "METHOD=AES-128",
            'METHOD=AES-128,URI=""',
            f"{PLAIN_KEY},IV=12",
            f"{PLAIN_KEY},IV=0x{'1' * 33}",
        ],
    )
    def test_one_that_cannot_be_used_is_refused(self, value: str) -> None:
        with pytest.raises(SourceNotMedia, match="key"):
            segments(f"#EXT-X-KEY:{value}\n#EXTINF:4,\na\n")


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "no HLS playlist"),
            ("<!DOCTYPE html>\n<html><body>#EXTINF</body></html>", "no HLS playlist"),
            ("http://secret.example/a.ts\n", "no HLS playlist"),
            ("#EXTM3U\n#EXT-X-VERSION:4\n", "neither segments nor renditions"),
            ("#EXTM3U\nhttp://secret.example/a\n", "neither segments nor renditions"),
            ("#EXTM3U\n#EXTINF:-1,News\nhttp://secret.example/a\n", "names no durations"),
            (HEAD + "#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:4,\nhttp://secret.example/a\n", "delta update"),
            (HEAD + "#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://secret.example/a\n", "both segments and renditions"),
            (HEAD + '#EXT-X-DEFINE:NAME="a",VALUE="secret.example"\n#EXTINF:4,\n{$a}/b\n', "variables"),
            (HEAD + "#EXTINF:4,\nhttp://[secret.example/a\n", "address that cannot be read"),
            ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "gives no address"),
            (HEAD + "x" * MAX_CHARACTERS, "larger than 4 MiB"),
            (HEAD + "a\n" * MAX_LINES, "lines"),
        ],
    )
    def test_in_one_line_that_holds_no_address(self, text: str, reason: str) -> None:
        with pytest.raises(SourceNotMedia, match=reason) as raised:
            parse_playlist(text, BASE)
        message = str(raised.value)
        assert "\n" not in message
        assert not any(part in message for part in ("secret.example", "cdn.example", "t0ken"))


class TestMaster:
    def test_variants_in_their_order(self) -> None:
        text = (
            '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",URI="en.m3u8"\n'
            '#EXT-X-STREAM-INF:BANDWIDTH=2500000.4,RESOLUTION=1280x720,CODECS="avc1.4d401f,mp4a.40.2",FRAME-RATE=29.97\n'
            "hi.m3u8\n"
            '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="iframes.m3u8"\n'
            "#EXT-X-STREAM-INF:PROGRAM-ID=1, AVERAGE-BANDWIDTH=3, RESOLUTION=wide\n# note\n\nlo.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=0,FRAME-RATE=x\n/source.m3u8\nstray.m3u8\n"
        )
        assert master(text) == (
            Variant(
                uri="https://cdn.example/live/room/hi.m3u8",
                bandwidth=2_500_000,
                width=1280,
                height=720,
                codecs="avc1.4d401f,mp4a.40.2",
                frame_rate=29.97,
            ),
            Variant(uri="https://cdn.example/live/room/lo.m3u8"),
            Variant(uri="https://cdn.example/source.m3u8"),
        )
