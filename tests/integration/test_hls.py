"""HLS as servers send it: followed from the live edge, every picture once and in order, with the publisher's times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from streammon.errors import SourceFinished, SourceNotMedia, SourceStalled, SourceUnreachable
from streammon.ingest.config import IngestConfig
from streammon.ingest.hls.crypto import Decryptor
from streammon.ingest.hls.playlist_entities import Key
from tests.integration.hls_watching import (
    CONFIG,
    END,
    HEAD,
    coded,
    encrypted,
    fmp4,
    growing,
    segments,
    text,
    ts_segments,
    watch,
)
from tests.integration.http_fetching import client
from tests.integration.scripted_http import Reply, ScriptedServer, Talk, ranged, redirect
from tests.media import RATE, clip

FIRST, SECOND, THIRD, FOURTH = (list(range(start, start + RATE)) for start in range(0, 100, RATE))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as one:
        for number, content in enumerate(ts_segments()):
            one.pages[f"/{number}.ts"] = Reply(body=content)
        yield one


def test_it_begins_at_the_live_edge_and_misses_no_picture_until_the_publisher_ends_it(server: ScriptedServer) -> None:
    window = HEAD + segments("0.ts", "1.ts")
    server.pages["/live"] = growing(
        [
            window,
            window,
            window + segments("2.ts"),
            window + segments("2.ts", "3.ts"),
            window + segments("2.ts", "3.ts") + END,
        ]
    )
    watched = watch(server.url("/live"))
    assert watched.numbers == [SECOND + THIRD + FOURTH]
    assert type(watched.error) is SourceFinished
    assert watched.received_s == sorted(watched.received_s)
    assert len(set(watched.received_s)) == 3
    assert server.connections == 1


def test_the_publisher_s_time_is_counted_on_from_each_segment_s(server: ScriptedServer) -> None:
    server.pages["/live"] = growing(
        [
            HEAD + segments("9.ts") + "#EXT-X-PROGRAM-DATE-TIME:2024-05-01T12:00:00+02:00\n#EXTINF:1,\n0.ts\n",
            HEAD
            + "#EXT-X-PROGRAM-DATE-TIME:2024-05-01T11:59:59+02:00\n"
            + "".join(f"#EXTINF:1,\n{name}.ts\n" for name in (9, 0, 1))
            + "#EXT-X-PROGRAM-DATE-TIME:2024-05-01T10:00:07Z\n#EXTINF:1,\n2.ts\n"
            + END,
        ]
    )
    watched = watch(server.url("/live"))
    assert watched.numbers == [FIRST + SECOND + THIRD]
    began = datetime(2024, 5, 1, 10, tzinfo=UTC)
    starts = [0.0] * RATE + [1.0] * RATE + [7.0] * RATE
    wanted = [began + timedelta(seconds=start + n % RATE / RATE) for n, start in enumerate(starts)]
    assert watched.program_at == wanted


def test_a_stream_that_says_no_time_has_none(server: ScriptedServer) -> None:
    server.pages["/live"] = growing([HEAD + segments("0.ts") + "\n", HEAD + segments("0.ts") + END])
    assert watch(server.url("/live")).program_at == [None] * RATE


def test_after_a_discontinuity_another_size_and_codec_are_decoded(server: ScriptedServer) -> None:
    server.pages |= {
        "/wide.ts": Reply(body=coded("libx264", 320, 180)),
        "/other.ts": Reply(body=coded("mpeg2video", 96, 64)),
        "/live": growing(
            [
                HEAD + segments("0.ts"),
                HEAD + segments("0.ts") + "#EXT-X-DISCONTINUITY\n" + segments("wide.ts"),
                HEAD + "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"
                + segments("wide.ts") + "#EXT-X-DISCONTINUITY\n" + segments("other.ts", "1.ts") + END,
            ]
        ),
    }  # fmt: skip
    server.pages["/1.ts"] = Reply(status=404)
    watched = watch(server.url("/live"))
    assert [(len(run), run[0][1:]) for run in watched.runs] == [(25, (160, 90)), (25, (320, 180)), (25, (96, 64))]
    assert type(watched.error) is SourceFinished


def test_fragmented_mp4_across_a_change_of_its_init_section(server: ScriptedServer) -> None:
    for name, made in {"a": fmp4("libx264", 160, 90), "b": fmp4("libx265", 96, 64)}.items():
        server.pages |= {f"/{name}.mp4": Reply(body=made[0]), f"/{name}.m4s": Reply(body=made[1][0])}
    window = HEAD + '#EXT-X-MAP:URI="a.mp4"\n' + segments("a.m4s")
    server.pages["/live"] = growing([window, window + '#EXT-X-MAP:URI="b.mp4"\n' + segments("b.m4s") + END])
    watched = watch(server.url("/live"))
    assert [(len(run), run[0][1:]) for run in watched.runs] == [(25, (160, 90)), (25, (96, 64))]
    assert watched.numbers == [FIRST, FIRST]
    assert server.paths() == ["/live", "/a.mp4", "/a.m4s", "/live", "/b.mp4", "/b.m4s"]


def test_fragmented_mp4_goes_on_after_a_missing_segment(server: ScriptedServer) -> None:
    init, pieces = fmp4("libx264", 160, 90, 4.0)
    server.pages |= {f"/{number}.m4s": Reply(body=piece) for number, piece in enumerate(pieces) if number != 1}
    server.pages["/a.mp4"] = Reply(body=init)
    window = HEAD + '#EXT-X-MAP:URI="a.mp4"\n' + segments("0.m4s")
    server.pages["/live"] = growing([window, window + segments("1.m4s", "2.m4s", "3.m4s") + END])
    assert watch(server.url("/live")).numbers == [FIRST, THIRD + FOURTH]
    assert server.paths().count("/a.mp4") == 1


@pytest.mark.parametrize("honoured", [True, False])
def test_byte_ranges_of_one_file(server: ScriptedServer, honoured: bool) -> None:
    pieces = ts_segments()
    whole = b"".join(pieces)
    server.pages["/all.ts"] = ranged(whole) if honoured else Reply(body=whole)
    ranges = "".join(f"#EXTINF:1,\n#EXT-X-BYTERANGE:{len(piece)}\nall.ts\n" for piece in pieces)
    server.pages["/live"] = growing([HEAD + segments("9.ts"), HEAD + segments("9.ts") + ranges + END])
    assert watch(server.url("/live")).numbers == [FIRST + SECOND + THIRD + FOURTH]


KEYS = {"/k0": b"0123456789abcdef", "/k1": b"fedcba9876543210"}


def test_keys_that_rotate_with_and_without_an_iv_of_their_own(server: ScriptedServer) -> None:
    pieces = ts_segments()
    server.pages |= {path: Reply(body=key) for path, key in KEYS.items()}
    server.pages["/secret"] = redirect("/k1?token=1")
    server.pages["/0.ts"] = Reply(body=encrypted(pieces[0], KEYS["/k0"], (8).to_bytes(16, "big")))
    server.pages["/1.ts"] = Reply(body=encrypted(pieces[1], KEYS["/k0"], (9).to_bytes(16, "big")))
    server.pages["/2.ts"] = Reply(body=encrypted(pieces[2], KEYS["/k1"], (0xAB).to_bytes(16, "big")))
    body = (
        '#EXT-X-MEDIA-SEQUENCE:8\n#EXT-X-KEY:METHOD=AES-128,URI="k0"\n'
        + segments("0.ts", "1.ts")
        + '#EXT-X-KEY:METHOD=AES-128,URI="secret",IV=0xAB\n'
        + segments("2.ts")
        + "#EXT-X-KEY:METHOD=NONE\n"
        + segments("3.ts")
    )
    server.pages["/live"] = growing([HEAD + "#EXT-X-MEDIA-SEQUENCE:7\n" + segments("9.ts"), HEAD + body + END])
    assert watch(server.url("/live")).numbers == [FIRST + SECOND + THIRD + FOURTH]
    assert [path for path in server.paths() if path.startswith("/k")] == ["/k0", "/k1"]


@pytest.mark.parametrize("iv", [None, bytes(range(16))])
def test_every_byte_is_decrypted_and_a_key_is_fetched_once(server: ScriptedServer, iv: bytes | None) -> None:
    content, key = ts_segments()[0], Key(method="AES-128", uri=server.url("/k0"), iv=iv)
    server.pages["/k0"] = Reply(body=KEYS["/k0"])
    with client() as fetching:
        decryptor = Decryptor(fetching, 5.0)
        for number in (8, 1 << 40):
            hidden = encrypted(content, KEYS["/k0"], iv if iv is not None else number.to_bytes(16, "big"))
            assert decryptor.decrypt(hidden, key, number) == content
    assert server.paths() == ["/k0"]


@pytest.mark.parametrize(
    ("key", "method", "said"),
    [
        (b"another-key-here", "AES-128", "cannot be decrypted"),
        (b"0123456789abcdef\n", "AES-128", "has 17 bytes, not 16"),
        (b"", "AES-128", "has 0 bytes, not 16"),
        (KEYS["/k0"], "SAMPLE-AES", "publish it without DRM"),
    ],
)
def test_what_cannot_be_decrypted_is_said_to_be(server: ScriptedServer, key: bytes, method: str, said: str) -> None:
    server.pages |= {
        "/k0": Reply(body=key),
        "/0.ts": Reply(body=encrypted(ts_segments()[0], KEYS["/k0"], bytes(16))),
        "/live": text(HEAD + f'#EXT-X-KEY:METHOD={method},URI="k0"\n' + segments("0.ts")),
    }
    error = watch(server.url("/live")).error
    assert type(error) is SourceNotMedia
    assert said in str(error)


@pytest.mark.parametrize("how", ["missing", "gap", "too large", "no key"])
def test_a_segment_that_is_not_to_be_had_is_left_out_and_a_new_run_begins(server: ScriptedServer, how: str) -> None:
    def gigantic(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while talk.wait(0.0):
            talk.send(bytes(1 << 20))

    before = "#EXT-X-GAP\n" if how == "gap" else '#EXT-X-KEY:METHOD=AES-128,URI="404"\n' if how == "no key" else ""
    server.pages["/1.ts"] = gigantic if how == "too large" else Reply(status=200 if how == "no key" else 404)
    bad = before + segments("1.ts") + ("#EXT-X-KEY:METHOD=NONE\n" if how == "no key" else "")
    window = HEAD + segments("0.ts")
    server.pages["/live"] = growing([window, window + bad + segments("2.ts", "3.ts") + END])
    watched = watch(server.url("/live"))
    assert watched.numbers == [FIRST, THIRD + FOURTH]
    assert ("/1.ts" in server.paths()) == (how != "gap")


def test_after_four_missing_segments_in_a_row_it_is_given_up(server: ScriptedServer) -> None:
    window = HEAD + segments("0.ts")
    server.pages["/live"] = growing([window, window + segments(*(f"gone{n}.ts" for n in range(5)), "1.ts")])
    error = watch(server.url("/live")).error
    assert type(error) is SourceUnreachable
    assert "4 segments in a row" in str(error)
    assert [path for path in server.paths() if "gone" in path] == [f"/gone{n}.ts" for n in range(4)]


def test_gaps_are_no_failures_while_they_pass(server: ScriptedServer) -> None:
    window = HEAD + segments("0.ts")
    gaps = "#EXT-X-GAP\n" + "#EXT-X-GAP\n".join(segments(f"g{n}.ts") for n in range(9))
    server.pages["/live"] = growing([window, window + gaps, window + gaps + segments("1.ts") + END])
    assert watch(server.url("/live")).numbers == [FIRST, SECOND]


def test_an_older_playlist_is_passed_over_and_a_jump_or_a_new_count_begins_at_the_edge(server: ScriptedServer) -> None:
    at_20 = HEAD + "#EXT-X-MEDIA-SEQUENCE:20\n" + segments("0.ts", "1.ts")
    older = HEAD + "#EXT-X-MEDIA-SEQUENCE:19\n" + segments("9.ts", "0.ts")
    next_one = HEAD + "#EXT-X-MEDIA-SEQUENCE:21\n" + segments("1.ts", "2.ts")
    jumped = HEAD + "#EXT-X-MEDIA-SEQUENCE:30\n" + segments("8.ts", "3.ts")
    anew = HEAD + segments("0.ts")
    server.pages["/live"] = growing([at_20, older, older, next_one, jumped, anew, anew, anew, anew + END])
    watched = watch(server.url("/live"))
    assert watched.numbers == [SECOND + THIRD, FOURTH, FIRST]
    assert [path for path in server.paths() if path != "/live"] == ["/1.ts", "/2.ts", "/3.ts", "/0.ts"]


def test_just_good_enough_a_rendition_is_taken_with_its_token_and_from_where_it_was_found(
    server: ScriptedServer,
) -> None:
    server.pages |= {
        "/main": redirect("/cdn/main.m3u8?session=1"),
        "/cdn/main.m3u8": text(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9000000,RESOLUTION=1920x1080\nhigh.m3u8?t=9\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720\nmid.m3u8?t=2\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=300000,RESOLUTION=320x180\nlow.m3u8?t=3\n"
        ),
        "/cdn/mid.m3u8": growing([HEAD + segments("/0.ts?t=4#x"), HEAD + segments("/0.ts?t=4", "/1.ts?t=5") + END]),
    }
    assert watch(server.url("/main?key=1")).numbers == [FIRST + SECOND]
    assert [asked.target for asked in server.asked] == [
        *("/main?key=1", "/cdn/main.m3u8?session=1", "/cdn/mid.m3u8?t=2", "/0.ts?t=4"),
        *("/cdn/mid.m3u8?t=2", "/1.ts?t=5"),
    ]


def test_playlists_of_playlists_do_not_lead_on_for_ever(server: ScriptedServer) -> None:
    server.pages["/main"] = text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmain\n")
    assert type(watch(server.url("/main")).error) is SourceNotMedia
    assert len(server.asked) == 3


def test_low_latency_parts_are_passed_over(server: ScriptedServer) -> None:
    parts = (
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0\n#EXT-X-PART-INF:PART-TARGET=0.1\n"
        + segments("0.ts")
        + '#EXT-X-PART:DURATION=0.1,URI="p0.ts",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.1,URI="p1.ts"\n'
    )
    hint = '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p2.ts"\n#EXT-X-RENDITION-REPORT:URI="low.m3u8"\n'
    server.pages["/live"] = growing([HEAD + parts + hint, HEAD + parts + segments("1.ts") + hint + END])
    assert watch(server.url("/live")).numbers == [FIRST + SECOND]
    assert server.paths() == ["/live", "/0.ts", "/live", "/1.ts"]


def test_a_stream_that_has_not_begun_is_waited_for(server: ScriptedServer) -> None:
    server.pages["/live"] = growing([HEAD, HEAD, HEAD + segments("0.ts"), HEAD + segments("0.ts") + END])
    assert watch(server.url("/live")).numbers == [FIRST]


@pytest.mark.parametrize("window", ["", segments("0.ts"), segments("0.ts") + "#EXT-X-GAP\n" + segments("1.ts")])
def test_a_playlist_that_does_not_grow_is_stalled(server: ScriptedServer, window: str) -> None:
    server.pages["/live"] = text(HEAD + window)
    began_s = time.monotonic()
    watched = watch(server.url("/live"), CONFIG.model_copy(update={"stall_after": 0.6}))
    assert type(watched.error) is SourceStalled
    assert 0.6 < time.monotonic() - began_s < 1.8
    # The last pictures are still in the demuxer and the decoder, where the stream may yet go on.
    assert watched.numbers in ([], [FIRST[: len(watched.numbers[0])] if watched.numbers else []])
    assert (sum(map(len, watched.numbers)) > 20) == (window == segments("0.ts"))


def test_an_ended_stream_is_played_at_its_own_pace_once_and_again_when_the_publisher_is_back(
    server: ScriptedServer,
) -> None:
    over = HEAD + segments("0.ts", "1.ts") + END
    server.pages["/live"] = text(over)
    began_s = time.monotonic()
    played = watch(server.url("/live"))
    assert played.numbers == [FIRST + SECOND]
    assert 1.8 < time.monotonic() - began_s < 3.0
    began_s = time.monotonic()
    looked_at = watch(server.url("/live"), resumed=True)
    assert [type(looked_at.error), type(played.error)] == [SourceFinished] * 2
    assert looked_at.runs == []
    assert time.monotonic() - began_s < 0.5
    server.pages["/live"] = growing([HEAD + segments("2.ts"), HEAD + segments("2.ts") + END])
    assert watch(server.url("/live"), resumed=True).numbers == [THIRD]


def test_segments_longer_than_the_time_out_are_no_stall(server: ScriptedServer) -> None:
    config = IngestConfig.model_validate({**CONFIG.model_dump(), "stall_after": 0.3})
    server.pages |= {"/a.ts": Reply(body=clip(1.0, 1.5)), "/b.ts": Reply(body=clip(1.0, 1.5))}
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
    both = head + segments("a.ts") + "#EXT-X-DISCONTINUITY\n" + segments("b.ts")
    server.pages["/live"] = growing([head + segments("a.ts"), head + segments("a.ts"), both, both, both + END])
    watched = watch(server.url("/live"), config)
    assert [len(run) for run in watched.runs] == [RATE, RATE]
    assert type(watched.error) is SourceFinished
