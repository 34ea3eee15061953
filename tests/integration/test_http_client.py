"""The HTTP client on real sockets: where it goes, what it gives away, and what it makes of an answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from streammon.errors import (
    SourceDenied,
    SourceEnded,
    SourceError,
    SourceForbidden,
    SourceTooLarge,
    SourceUnreachable,
)
from streammon.ingest.source import ByteRange
from tests.integration.http_fetching import ALL, HEAD, SECRET, body, client, flood, refused
from tests.integration.scripted_http import Reply, ScriptedServer, Talk, ranged, redirect
from tests.needs import need

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_an_answer_comes_whole_and_the_connection_is_kept(server: ScriptedServer) -> None:
    server.pages["/p"] = Reply(body=b"x" * 200_000)
    with client() as one:
        began_s = time.monotonic()
        fetched = one.get(server.url("/p?token=1#part"), max_bytes=200_000, within_s=5.0)
        assert body(one, server.url("/p")) == b"x" * 200_000
    assert fetched.body == b"x" * 200_000
    assert began_s < fetched.received_s < time.monotonic()
    assert [asked.target for asked in server.asked] == ["/p?token=1", "/p"]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("path", "sent"),
    [("/直播 1.ts?名=a b", "/%E7%9B%B4%E6%92%AD%201.ts?%E5%90%8D=a%20b"), ("/a%20b|c?t=~a+b==&x=%2F", None)],
)
def test_an_address_is_sent_as_it_stands_but_for_what_http_cannot_say(
    server: ScriptedServer, path: str, sent: str | None
) -> None:
    with client() as one:
        refused(SourceUnreachable, lambda: body(one, server.url(path)))
    assert server.asked[0].target == (sent if sent is not None else path)


def test_an_ipv6_address_is_told_in_brackets() -> None:
    need("IPv6", None if Path("/proc/net/if_inet6").exists() else "this machine has none")
    with ScriptedServer("::1") as server, client(allow=ALL) as one:
        server.pages["/p"] = Reply(body=b"six")
        assert body(one, server.url("/p")) == b"six"
        assert server.asked[0].headers["host"] == f"[::1]:{server.port}"


def test_redirects_are_followed_and_the_last_address_is_told(server: ScriptedServer, other: ScriptedServer) -> None:
    server.pages |= {"/a": redirect("b/c?t=1", 301), "/b/c": redirect("/d", 307), "/d": redirect(other.url("/p?x=1"))}
    with client(allow=ALL) as one:
        fetched = one.get(server.url("/a"), max_bytes=10, within_s=5.0)
    assert (fetched.body, fetched.url) == (b"private", other.url("/p?x=1"))
    assert [asked.target for asked in server.asked] == ["/a", "/b/c?t=1", "/d"]


def test_an_endless_redirect_is_given_up(server: ScriptedServer) -> None:
    server.pages["/p"] = redirect("/p")
    with client() as one:
        assert "more than 5 times" in refused(SourceUnreachable, lambda: body(one, server.url("/p")))
    assert len(server.asked) == 6


@pytest.mark.parametrize("host", ["127.0.0.2", "2130706434", "0x7f.2", "0177.0.0.2", "[::ffff:127.0.0.2]", "127.2"])
def test_no_connection_is_made_to_a_forbidden_address_in_whatever_form(
    server: ScriptedServer, other: ScriptedServer, host: str
) -> None:
    server.pages["/p"] = redirect(other.url("/p", host))
    with client() as one:
        refused(SourceForbidden, lambda: body(one, other.url("/p", host)))
        refused(SourceForbidden, lambda: body(one, server.url("/p")))
    with client(allow=ALL) as one:
        assert body(one, server.url("/p")) == b"private"
    assert other.connections == 1


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://169.254.169.254/latest/meta-data", SourceForbidden),
        ("http://10.0.0.1/", SourceForbidden),
        ("http://[::1]/", SourceForbidden),
        ("https://[fe80::1]/", SourceForbidden),
        ("file:///etc/passwd", SourceForbidden),
        ("data:text/plain,x", SourceForbidden),
        ("concat:/etc/passwd|/etc/hosts", SourceForbidden),
        ("ftp://127.0.0.1/", SourceForbidden),
        ("rtmp://127.0.0.1/live/a", SourceUnreachable),
        ("http://[", SourceUnreachable),
        ("http://127.0.0.1:99999/", SourceUnreachable),
        ("http:///p", SourceUnreachable),
        ("http://a..b/", SourceUnreachable),
        ("", SourceUnreachable),
    ],
)
def test_where_a_redirect_may_not_lead(server: ScriptedServer, location: str, kind: type[SourceError]) -> None:
    server.pages["/p"] = redirect(location)
    with client() as one:
        refused(kind, lambda: body(one, server.url("/p")))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, SourceDenied), (403, SourceDenied), *((s, SourceUnreachable) for s in (204, 404, 500, 503))],
)
def test_an_answer_that_is_none(server: ScriptedServer, status: int, kind: type[SourceError]) -> None:
    server.pages["/p"] = Reply(status=status)
    with client() as one:
        assert str(status) in refused(kind, lambda: body(one, server.url(f"/p?key={SECRET}")))


def test_what_may_be_a_secret_is_sent_to_the_room_s_own_server_only(
    server: ScriptedServer, other: ScriptedServer
) -> None:
    server.pages |= {"/mine": Reply(), "/there": redirect(other.url("/p"))}
    other.pages["/back"] = redirect(server.url("/mine"))
    headers = {
        "authorization": "Bearer 1",
        "Cookie": "a=1",
        "X-Api-Key": "1",
        "Referer": "http://a/",
        "user-agent": "A",
    }
    with client(server.url("/"), allow=ALL, headers=headers) as one:
        for url in (server.url("/mine"), server.url("/there"), other.url("/p"), other.url("/back")):
            body(one, url)
    harmless = {"referer": "http://a/", "user-agent": "A", "accept-encoding": "identity"}
    for asked in other.asked:
        assert asked.headers == {"host": f"127.0.0.2:{other.port}", **harmless}
    for asked in server.asked:
        mine = {"authorization": "Bearer 1", "cookie": "a=1", "x-api-key": "1", **harmless}
        assert asked.headers == {"host": f"127.0.0.1:{server.port}", **mine}
    assert (len(server.asked), len(other.asked)) == (3, 3)


def test_user_and_password_of_an_address_are_sent_there_only(server: ScriptedServer, other: ScriptedServer) -> None:
    server.pages |= {"/p": redirect("/q"), "/q": redirect(other.url("/p"))}
    with client(allow=ALL) as one:
        body(one, server.url("/p", f"us%40er:{SECRET}@127.0.0.1"))
    assert [asked.headers.get("authorization") for asked in server.asked] == ["Basic dXNAZXI6czNjcmV0"] * 2
    assert "authorization" not in other.asked[0].headers


def test_a_part_is_asked_for_and_cut_out_where_the_whole_comes(server: ScriptedServer) -> None:
    server.pages |= {"/parts": ranged(b"0123456789"), "/whole": Reply(body=b"0123456789")}
    with client() as one:
        for offset, length, wanted in ((0, 4, b"0123"), (6, 4, b"6789"), (8, 9, b"89"), (3, 7, b"3456789")):
            part = ByteRange(offset=offset, length=length)
            for path in ("/parts", "/whole"):
                assert one.get(server.url(path), max_bytes=10, within_s=5.0, part=part).body == wanted
    assert server.asked[0].headers["range"] == "bytes=0-3"


def test_an_answer_without_an_end_is_too_large(server: ScriptedServer) -> None:
    server.pages |= {"/p": flood, "/exact": Reply(body=b"12345678")}
    with client() as one:
        assert "1024 KiB" in refused(SourceTooLarge, lambda: body(one, server.url("/p")))
        refused(SourceTooLarge, lambda: body(one, server.url("/exact"), max_bytes=7))
        assert body(one, server.url("/exact"), max_bytes=8) == b"12345678"


def test_a_connection_that_breaks_is_tried_once_more(server: ScriptedServer) -> None:
    def breaks(talk: Talk) -> Reply | None:
        if len(server.asked) % 3 == 0:
            return Reply(body=b"whole")
        talk.send(HEAD + b"half")
        return None

    server.pages["/p"] = breaks
    with client() as one:
        assert "the connection broke" in refused(SourceEnded, lambda: body(one, server.url("/p")))
        assert body(one, server.url("/p")) == b"whole"
    assert len(server.asked) == 3


def test_what_is_no_http_is_an_end(server: ScriptedServer) -> None:
    server.pages["/p"] = lambda talk: talk.send(b"SSH-2.0-OpenSSH_9.2\r\n")
    with client() as one:
        refused(SourceEnded, lambda: body(one, server.url("/p")))


@pytest.mark.parametrize("header", [{"X-A": "1\r\nX-B: 2"}, {"X A": "1"}, {"Ü": "1"}])
def test_a_header_that_cannot_be_sent_is_not(server: ScriptedServer, header: dict[str, str]) -> None:
    with client(server.url("/"), headers=header) as one:
        assert "header" in refused(SourceUnreachable, lambda: body(one, server.url("/p")))
    assert server.asked == []
