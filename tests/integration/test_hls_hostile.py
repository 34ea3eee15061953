"""Streams over HTTP that mean no good, or stand still: where they may not lead, and that they never hold a room."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from streammon.errors import (
    SourceEnded,
    SourceError,
    SourceFinished,
    SourceForbidden,
    SourceHasNoVideo,
    SourceNotMedia,
    SourceStalled,
    SourceTooLarge,
    SourceUnreachable,
)
from tests.integration.hls_watching import CONFIG, END, HEAD, coded, growing, segments, text, ts_segments, watch
from tests.integration.ingesting import held
from tests.integration.scripted_http import Page, Reply, ScriptedServer, Talk, dribble, hang, redirect
from tests.media import clip

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
SLOW: dict[str, Page] = {
    "no answer": hang,
    "head by bytes": dribble(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 999),
    "body by bytes": dribble(OK_HEAD + b"#" * 999),
}


SLOW_PARTS = [("/live", how) for how in SLOW] + [("/segment", "head by bytes")]
SLOW_PARTS += [(path, "body by bytes") for path in ("/media", "/key", "/init", "/segment")]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as one:
        for number, content in enumerate(ts_segments()):
            one.pages[f"/{number}.ts"] = Reply(body=content)
        yield one


@pytest.fixture
def private() -> Iterator[ScriptedServer]:
    """A host that the room's policy does not allow, with all that a stream needs."""
    with ScriptedServer("127.0.0.2") as one:
        one.pages |= {
            "/master": text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{one.url('/media')}\n"),
            "/media": text(HEAD + segments("segment")),
            "/segment": Reply(body=ts_segments()[0]),
            "/init": Reply(body=b"init"),
            "/key": Reply(body=b"0123456789abcdef"),
        }
        yield one


# The room's playlist, by what in it leads to another place, `{}`.
HOPS = {
    "media": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{}\n",
    "segment": HEAD + segments("{}"),
    "init": HEAD + '#EXT-X-MAP:URI="{}"\n' + segments("0.ts"),
    "key": HEAD + '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n' + segments("0.ts"),
}


@pytest.mark.parametrize("redirected", [False, True])
@pytest.mark.parametrize("hop", HOPS)
def test_no_hop_may_lead_to_a_forbidden_address(
    server: ScriptedServer, private: ScriptedServer, hop: str, redirected: bool
) -> None:
    server.pages["/hop"] = redirect(private.url(f"/{hop}"))
    place = server.url("/hop") if redirected else private.url(f"/{hop}")
    server.pages["/live"] = text(HOPS[hop].format(place))
    watched = watch(server.url("/live"))
    assert type(watched.error) is SourceForbidden
    assert watched.error.code == "forbidden_address"
    assert "127.0.0" not in str(watched.error)
    assert private.connections == 0
    allowed = CONFIG.model_validate({**CONFIG.model_dump(), "allow_networks": ["127.0.0.0/8"], "stall_after": 0.3})
    assert type(watch(server.url("/live"), allowed).error) is not SourceForbidden
    assert f"/{hop}" in private.paths()


@pytest.mark.parametrize(
    "place",
    [
        *("file:///proc/self/status", "data:video/mp2t;base64,Rw==", "concat:/etc/passwd|/etc/hosts", "ftp://h/a"),
        *("http://169.254.169.254/latest/", "http://[::1]/", "https://10.0.0.1/", "http://2130706434/"),
        *("//10.0.0.1/a", "gopher://127.0.0.1/", "crypto:http://127.0.0.1/a"),
    ],
)
@pytest.mark.parametrize("hop", HOPS)
def test_no_hop_may_have_another_scheme_or_a_private_address(server: ScriptedServer, hop: str, place: str) -> None:
    server.pages["/live"] = text(HOPS[hop].format(place))
    assert type(watch(server.url("/live")).error) is SourceForbidden


def test_a_reloaded_playlist_and_later_segments_are_checked_too(
    server: ScriptedServer, private: ScriptedServer
) -> None:
    window = HEAD + segments("0.ts")
    server.pages["/live"] = growing([window, window + segments(private.url("/segment"))])
    assert type(watch(server.url("/live")).error) is SourceForbidden

    def moved(talk: Talk) -> Reply:
        first = server.paths().count("/moved") == 1
        return text(window) if first else redirect(private.url("/media"))

    server.pages["/moved"] = moved
    assert type(watch(server.url("/moved")).error) is SourceForbidden
    assert private.connections == 0


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", SourceNotMedia),
        (b"\xef\xbb\xbf  <?xml version='1.0'?><error/>", SourceNotMedia),
        (b"", SourceNotMedia),
        (b"\xff\xd8\xff\xe0" + bytes(2000), SourceStalled),
        (b"Go away. " * 300, SourceStalled),
        (b"\x47" + b"\xff" * 187, SourceStalled),
    ],
)
def test_a_live_segment_that_is_no_media(server: ScriptedServer, page: bytes, kind: type[SourceError]) -> None:
    server.pages |= {"/page": Reply(body=page), "/live": text(HEAD + segments("page"))}
    began_s = time.monotonic()
    error = watch(server.url("/live"), CONFIG.model_copy(update={"stall_after": 0.6})).error
    assert type(error) is kind
    assert time.monotonic() - began_s < 2.0


def test_segments_that_go_on_and_hold_no_video_are_a_stall(server: ScriptedServer) -> None:
    empty = b"\x47\x1f\xff\x10" + b"\xff" * 184  # a null packet

    def more(talk: Talk) -> Reply:
        asked = server.paths().count("/live")
        lines = segments(*("0.ts" if number == 0 else f"null?{number}" for number in range(asked)))
        return text(HEAD + lines)

    server.pages |= {"/null": Reply(body=empty * 50), "/live": more}
    began_s = time.monotonic()
    watched = watch(server.url("/live"), CONFIG.model_copy(update={"stall_after": 0.8}))
    assert type(watched.error) is SourceStalled
    assert "no video" in str(watched.error)
    assert len(watched.numbers[0]) > 20
    assert time.monotonic() - began_s < 3.0


@pytest.mark.parametrize(
    ("playlist", "kind"),
    [
        ("#EXTM3U\n" + "#" * (5 << 20), SourceTooLarge),
        ("#EXTM3U\n" + "x" * 100, SourceNotMedia),
        ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-KEY:METHOD=AES-128\n" + segments("0.ts"), SourceNotMedia),
    ],
)
def test_a_playlist_that_is_none(server: ScriptedServer, playlist: str, kind: type[SourceError]) -> None:
    server.pages["/live"] = text(playlist)
    assert type(watch(server.url("/live")).error) is kind


@pytest.mark.parametrize(("path", "how"), SLOW_PARTS)
def test_nothing_that_comes_too_slowly_holds_a_room(server: ScriptedServer, path: str, how: str) -> None:
    served(server, path, SLOW[how])
    began_s = time.monotonic()
    config = CONFIG.model_copy(update={"stall_after": 0.4, "open_timeout": 0.4})
    assert type(watch(server.url("/live"), config).error) in {SourceStalled, SourceNotMedia, SourceUnreachable}
    assert time.monotonic() - began_s < 1.2


def served(server: ScriptedServer, path: str, page: Page) -> None:
    """A stream whose one part, `path`, is `page`."""
    body = '#EXT-X-MAP:URI="init"\n#EXT-X-KEY:METHOD=AES-128,URI="key"\n' + segments("segment")
    server.pages |= {
        "/live": text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia\n"),
        "/media": text(HEAD + body),
        "/init": Reply(body=b"init"),
        "/key": Reply(body=b"0123456789abcdef"),
        "/segment": Reply(body=bytes(32)),
    }
    server.pages[path] = page


def stop_s(url: str, after_s: float = 0.2) -> float:
    """The seconds from a stop until a watch that it interrupts has ended."""
    stop, at_s = threading.Event(), [0.0]

    def end() -> None:
        at_s[0] = time.monotonic()
        stop.set()

    timer = threading.Timer(after_s, end)
    timer.start()
    watch(url, CONFIG.model_copy(update={"stall_after": 20.0, "open_timeout": 20.0}), stop=stop)
    ended_s = time.monotonic()
    timer.join(1.0)
    assert at_s[0] > 0.0, "it ended by itself"
    return ended_s - at_s[0]


@pytest.mark.parametrize(("path", "how"), SLOW_PARTS)
def test_a_stop_is_heard_whatever_is_waited_for(server: ScriptedServer, path: str, how: str) -> None:
    served(server, path, SLOW[how])
    assert stop_s(server.url("/live")) < 0.7


def waits_for_a_reload(server: ScriptedServer) -> Page:
    return text("#EXTM3U\n#EXT-X-TARGETDURATION:20\n" + segments("0.ts"))


def is_played(server: ScriptedServer) -> Page:
    return text(HEAD + segments("0.ts", "1.ts", "2.ts", "3.ts") + END)


def flv_by_bytes(server: ScriptedServer) -> Page:
    return dribble(b"HTTP/1.1 200 OK\r\n\r\n" + ts_segments()[0], 0.01)


def is_all_gaps(server: ScriptedServer) -> Page:
    def page(talk: Talk) -> Reply:
        return text(HEAD + "".join("#EXT-X-GAP\n" + segments("a") for _ in range(len(server.asked))))

    return page


@pytest.mark.parametrize("make", [waits_for_a_reload, is_played, flv_by_bytes, is_all_gaps])
def test_a_stop_is_heard_whatever_goes_on(server: ScriptedServer, make: Callable[[ScriptedServer], Page]) -> None:
    server.pages["/live"] = make(server)
    assert stop_s(server.url("/live")) < 0.7


def test_a_stream_without_an_end_that_comes_byte_by_byte_is_stalled(server: ScriptedServer) -> None:
    def live(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n" + coded("libx264", 160, 90, 3.0))
        while talk.wait(0.1):
            talk.send(b"\x47")

    server.pages["/live"] = live
    began_s = time.monotonic()
    watched = watch(server.url("/live"), CONFIG.model_copy(update={"stall_after": 0.8, "open_timeout": 0.8}))
    assert type(watched.error) is SourceStalled
    assert len(watched.numbers[0]) > 60
    assert time.monotonic() - began_s < 2.0


def test_waits_between_which_video_comes_do_not_add_up_to_a_stall(server: ScriptedServer) -> None:
    windows = [HEAD + segments(*(f"{number}.ts" for number in range(end))) for end in (1, 2, 3, 4)]
    content = coded("libx264", 160, 90, 4.0)

    def live(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for start in range(0, len(content), len(content) // 8):
            talk.send(content[start : start + len(content) // 8])
            talk.wait(0.12)

    server.pages["/hls"] = growing([window for window in windows for _ in range(2)] + [windows[-1] + END])
    server.pages["/live"] = live
    config = CONFIG.model_copy(update={"stall_after": 0.65, "open_timeout": 0.65})
    for path, kind in (("/hls", SourceFinished), ("/live", SourceEnded)):
        watched = watch(server.url(path), config)
        assert type(watched.error) is kind
        assert [len(run) for run in watched.runs] == [100]


def test_a_stream_without_an_end_that_ends_is_tried_again(server: ScriptedServer) -> None:
    server.pages["/live"] = Reply(body=coded("libx264", 160, 90))
    watched = watch(server.url("/live"))
    assert len(watched.numbers[0]) == 25
    assert type(watched.error) is SourceEnded


def test_what_fails_leaves_nothing_open(server: ScriptedServer, private: ScriptedServer) -> None:
    moved = HEAD + segments("0.ts", private.url("/segment")) + END
    server.pages |= {"/junk": Reply(body=b"junk"), "/away": redirect(private.url("/media")), "/moved": text(moved)}
    config = CONFIG.model_copy(update={"stall_after": 0.1, "open_timeout": 0.1})

    def fail_often() -> tuple[int, int, list[str], list[str]]:
        for path in ["/junk", "/away", "/gone", "/slow", "/moved"] * 3:
            assert watch(server.url(path), config, resumed=path == "/moved").error is not None
        server.drop_connections()
        time.sleep(0.2)  # the server's threads are of this process too
        return held()

    server.pages["/slow"] = dribble(OK_HEAD)
    fail_often()
    assert fail_often() == fail_often()


def test_sound_alone_is_said_to_be(server: ScriptedServer) -> None:
    server.pages |= {"/a.ts": Reply(body=clip(0, 1.0)), "/live": text(HEAD + segments("a.ts") + END)}
    assert type(watch(server.url("/live")).error) is SourceHasNoVideo
