"""Whatever a web server may answer at a room's address, and where it may try to lead."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from tests.faults.clips import pieces
from tests.faults.fault import BACK, CONNECTING, FLOWING, Fault, Servers, backing_off
from tests.faults.playout import Playout, playout
from tests.faults.site import Site, page_of, site
from tests.integration.hls_watching import text
from tests.integration.scripted_http import Page, Reply, Talk, black_hole, dribble, hang, redirect

Rows = list[Fault[Any]]
_REBOUND = "127-0-0-1.127-0-0-2.rebind.test"
"""First the address that rooms may connect to, then the one that they may not; see `resolver`."""
_HTML = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
_HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
_KEY = '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n'
_MAP = '#EXT-X-MAP:URI="{}"\n'
_SEGMENT = "#EXTINF:1.0,\n{}\n"


@cache
def _bomb() -> bytes:
    """A playlist of 100 MB, as 100 kB."""
    return gzip.compress(b"#EXTM3U\n" + bytes(100 << 20), 6)


def _endless_playlist(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n")
    while talk.wait(0.0):
        talk.send(b"#EXTINF:1.0,\nsegment.ts\n" * 1000)


def _row(name: str, reason: str, page: Callable[[Site], Page]) -> Fault[Site]:
    return Fault(name=name, transport="HTTP", stage=page_of(page), first=(backing_off(reason),))


def _answered(name: str, reason: str, page: Page) -> Fault[Site]:
    return _row(name, reason, lambda _: page)


def _leading(name: str, page: Callable[[Site], Page]) -> Fault[Site]:
    return _row(name, "forbidden_address", page)


def _at(transport: str, name: str, reason: str, url: Callable[[Site], str]) -> Fault[Site]:
    return Fault(name=name, transport=transport, stage=page_of(address=url), first=(backing_off(reason),))


def _html_segment(site: Site) -> Page:
    site.pages["/page"] = Reply(body=_HTML)
    return text(_HEAD + _SEGMENT.format("page"))


def _bombed(site: Site) -> Page:
    return Reply(body=_bomb(), headers={"Content-Encoding": "gzip"})


def _with_segment(lines: str) -> Callable[[Site], Page]:
    """A playlist with one good segment, and before it lines in which `{}` is in the trap."""

    def page(site: Site) -> Page:
        site.pages["/0.ts"] = Reply(body=pieces()[0])
        return text(_HEAD + lines.format(site.trap.url()) + _SEGMENT.format("0.ts"))

    return page


def _closing_playlist(site: Site) -> Page:
    """One after which the name must be looked up again."""
    site.pages["/0.ts"] = Reply(body=pieces()[0])
    return Reply(body=(_HEAD + _SEGMENT.format("0.ts")).encode(), headers={"Connection": "close"})


@contextmanager
def _unanswered(scheme: str, servers: Servers) -> Iterator[Site]:
    """Nobody says yes or no to a connection."""
    with site() as made, black_hole() as port:
        made.url = f"{scheme}://127.0.0.1:{port}/live/a"
        yield made


def _move_to_trap(live: Playout) -> None:
    live.site.page(redirect(live.site.trap.url()))


def _recover(site: Site) -> None:
    Playout(site, pieces())


_ANSWERS: Rows = [
    _answered("404", "unreachable", Reply(status=404)),
    _answered("401", "denied", Reply(status=401)),
    _answered("403", "denied", Reply(status=403)),
    _answered("500", "unreachable", Reply(status=500)),
    Fault(
        name="503, and then the stream",
        transport="HTTP",
        stage=page_of(lambda _: Reply(status=503)),
        first=(backing_off("unreachable"),),
        mends=_recover,
        mended=BACK,
    ),
    _answered("endless redirect", "unreachable", redirect("/live")),
    _answered("no answer", "unreachable", hang),
    _answered("head by one byte a second", "unreachable", dribble(b"HTTP/1.1 200 OK\r\n" + b"X" * 100, 1.0)),
    _answered("HTML for media", "not_media", Reply(body=_HTML, headers={"Content-Type": "video/x-flv"})),
    _row("HTML for a segment", "not_media", _html_segment),
    _answered("empty answer", "not_media", Reply()),
    _answered("playlist without an end", "too_large", _endless_playlist),
    _row("decompression bomb for a playlist", "not_media", _bombed),
]
_PLACES: Rows = [
    _leading("redirect to a private address", lambda site: redirect(site.trap.url())),
    _leading("redirect to a file", lambda _: redirect("file:///etc/hostname")),
    _leading(
        "variant on a private address",
        lambda site: text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{site.trap.url('/v.m3u8')}\n"),
    ),
    _leading("segment on a private address", lambda site: text(_HEAD + _SEGMENT.format(site.trap.url("/0.ts")))),
    _leading("key on a private address", _with_segment(_KEY)),
    _leading("init section on a private address", _with_segment(_MAP)),
    Fault(
        name="playlist moves to a private address",
        transport="HTTP",
        stage=playout(),
        first=FLOWING,
        breaks=_move_to_trap,
        broken=(backing_off("forbidden_address"),),
    ),
    _at("HTTP", "private address", "forbidden_address", lambda site: site.trap.url("/live")),
    _at(
        "HTTP", "private address as a number", "forbidden_address", lambda site: f"http://2130706434:{site.trap.port}/"
    ),
    _at("RTMP", "private address", "forbidden_address", lambda site: site.trap.url("/live/a", "rtmp")),
    _at(
        "RTMP",
        "private address as a number",
        "forbidden_address",
        lambda site: f"rtmp://2130706434:{site.trap.port}/a/b",
    ),
    Fault(
        name="rebinding name, asked again for a segment",
        transport="HTTP",
        stage=page_of(_closing_playlist, lambda site: f"http://a.{_REBOUND}:{site.trap.port}/live"),
        first=(backing_off("forbidden_address"),),
    ),
    _at("HTTP", "name that does not resolve", "unreachable", lambda _: "http://nowhere.invalid/live.flv"),
    _at("RTMP", "name that does not resolve", "unreachable", lambda _: "rtmp://nowhere.invalid/live/a"),
]
_UNANSWERED: Rows = [
    Fault(
        name=name,
        transport=scheme.upper(),
        stage=partial(_unanswered, scheme),
        first=first,
    )
    for scheme in ("http", "rtmp")
    for name, first in (
        ("connections are not answered", (backing_off("unreachable"),)),
        ("connections are not answered, and the room is removed at once", (CONNECTING,)),
    )
]
HTTP_ROWS: Rows = [*_ANSWERS, *_PLACES, *_UNANSWERED]
