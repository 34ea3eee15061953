"""Media that is broken, odd, or made to do harm, over HTTP-FLV and HLS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tests.faults.clips import (
    OTHER_HEIGHT,
    OTHER_WIDTH,
    corrupt,
    encoded,
    flv,
    flv_from,
    flv_in_a_row,
    flv_tags,
    huge_picture,
    noise,
    pieces,
    unknown_flv_codec,
    wrapping,
)
from tests.faults.fault import (
    BACK,
    FLOWING,
    Expected,
    Fault,
    backing_off,
    ended,
    goes_on,
    sized,
    stalled,
    streaming,
)
from tests.faults.playout import Playout, playout
from tests.faults.site import broken_off, flv_page, page_of
from tests.integration.hls_watching import fmp4
from tests.integration.http_fetching import flood
from tests.integration.scripted_http import Page, Reply, hang
from tests.media import clip

Rows = list[Fault[Any]]
_OTHER_SIZE = sized(OTHER_WIDTH, OTHER_HEIGHT)


def _larger(codec: str = "libx264") -> list[bytes]:
    return pieces(codec, OTHER_WIDTH, OTHER_HEIGHT)


def _body(name: str, page: Callable[[], Page], *first: Expected, transport: str = "HTTP-FLV") -> Fault[Any]:
    return Fault(name=name, transport=transport, stage=page_of(lambda _: page()), first=first)


def _live(name: str, breaks: Callable[[Playout], None], *broken: Expected, **parts: Any) -> Fault[Any]:
    row: dict[str, Any] = {"stage": playout(), "first": FLOWING, **parts}
    return Fault(name=name, transport="HLS", breaks=breaks, broken=broken, **row)


def _begins(name: str, content: Callable[[], Sequence[bytes]], *first: Expected) -> Fault[Any]:
    return Fault(name=name, transport="HLS", stage=playout(content), first=first)


def _spoil(make: Callable[[bytes], Page], segments: int = 1) -> Callable[[Playout], None]:
    return lambda live: live.spoil(make, segments)


def _mp4(spoil: Callable[[bytes], bytes] = bytes) -> Page:
    return Reply(body=spoil(encoded("libx264", "mp4")))


def _audio_segments() -> list[bytes]:
    return [clip(0.0, 1.0)]


def _fmp4_init() -> bytes:
    return fmp4("libx264", 160, 90, 4.0)[0]


def _fmp4_segments() -> list[bytes]:
    return fmp4("libx264", 160, 90, 4.0)[1]


_GOES_ON = goes_on(6, 8.0)
_FLV: Rows = [
    _body(
        "corrupt FLV",
        lambda: flv_page(flv(), spoil=lambda tag: corrupt(tag, keep=11)),
        streaming(),
        backing_off("ended"),
    ),
    _body(
        "FLV that turns into noise",
        lambda: flv_page(flv(), then=noise(1 << 18)),
        streaming(),
        backing_off("ended", 8.0),
    ),
    _body(
        "truncated FLV", lambda: flv_page(flv(), then=flv_tags(flv())[-1][:20]), streaming(), backing_off("ended", 8.0)
    ),
    _body("audio only", lambda: Reply(body=clip(0.0, 4.0, container="flv")), backing_off("no_video")),
    _body("no video codec", lambda: flv_page(unknown_flv_codec(flv())), backing_off("no_video")),
    _body("clock runs over 32 bits", lambda: flv_page(flv_from(flv(), 2**32 - 2000)), streaming(), _GOES_ON),
    _body(
        "resolution changes in mid-stream",
        lambda: flv_page(flv_in_a_row(flv(), flv("libx264", OTHER_WIDTH, OTHER_HEIGHT))),
        *FLOWING,
        _OTHER_SIZE,
    ),
    _body("answer ends", lambda: flv_page(flv()), streaming(), backing_off("ended", 8.0)),
    _body(
        "truncated mp4",
        lambda: _mp4(lambda whole: whole[: len(whole) // 2 + 50]),
        streaming(),
        backing_off("ended", 8.0),
        transport="HTTP-MP4",
    ),
    _body(
        "corrupt mp4",
        lambda: _mp4(lambda whole: corrupt(whole, keep=whole.index(b"mdat"))),
        streaming(),
        backing_off("ended"),
        transport="HTTP-MP4",
    ),
]
_HLS: Rows = [
    _live("publisher ends the stream and returns", Playout.end, ended(), mends=Playout.thaw, mended=BACK),
    _live("frozen playlist", Playout.freeze, *stalled(6.0), mends=Playout.thaw, mended=BACK),
    _live("sequence jumps ahead", lambda live: live.jump(1000), _GOES_ON),
    _live("sequence begins anew", lambda live: live.jump(-990), _GOES_ON),
    _live("missing segment", _spoil(lambda _: Reply(status=404)), _GOES_ON),
    _live("many missing segments", _spoil(lambda _: Reply(status=404), 100), *stalled(6.0)),
    _live("gigantic segment", _spoil(lambda _: flood), _GOES_ON),
    _live("only gigantic segments", _spoil(lambda _: flood, 100), *stalled(6.0)),
    _live("segment that never comes", _spoil(lambda _: hang), *stalled(6.0)),
    _live("segment by one byte a second", lambda live: live.site.proxy.throttle(1.0), *stalled(6.0)),
    _live("reset in mid-segment", lambda live: live.site.proxy.cut(), _GOES_ON),
    _live("each segment reset", lambda live: live.site.proxy.cut(always=True), backing_off("ended")),
    _live("corrupt TS", _spoil(lambda piece: Reply(body=corrupt(piece, keep=188 * 3)), 2), _GOES_ON),
    _live("truncated TS", _spoil(lambda piece: Reply(body=piece[: len(piece) // 2 + 50]), 2), _GOES_ON),
    _live("segment is cut off", _spoil(broken_off), _GOES_ON),
    _live("segments are noise", _spoil(lambda piece: Reply(body=noise(len(piece))), 100), *stalled(9.0)),
    _live("discontinuity: another resolution", lambda live: live.play(_larger()), _OTHER_SIZE, _GOES_ON),
    _live("discontinuity: another codec", lambda live: live.play(_larger("libx265")), _OTHER_SIZE, _GOES_ON),
    _live("discontinuity: another clock", lambda live: live.play(pieces(offset_s=50_000.0)), _GOES_ON),
    _begins("clock runs over 33 bits", wrapping, streaming(), goes_on(12, 10.0)),
    _begins("audio only", _audio_segments, backing_off("no_video")),
    _begins("picture that is a decompression bomb", lambda: [huge_picture()], backing_off("too_large")),
    Fault(
        name="fMP4 without a video codec",
        transport="HLS",
        stage=playout(_fmp4_segments, lambda: _fmp4_init().replace(b"avc1", b"zzz1")),
        first=(backing_off("no_video"),),
    ),
    Fault(
        name="corrupt init section",
        transport="HLS",
        stage=playout(_fmp4_segments, lambda: corrupt(_fmp4_init(), keep=48)),
        first=(backing_off("not_media"),),
    ),
    Fault(
        name="init section is noise",
        transport="HLS",
        stage=playout(_fmp4_segments, lambda: noise(800)),
        first=(backing_off("not_media"),),
    ),
    _live(
        "truncated mp4 segments",
        _spoil(lambda piece: Reply(body=piece[: len(piece) // 2]), 2),
        _GOES_ON,
        stage=playout(_fmp4_segments, _fmp4_init),
    ),
]
MEDIA_ROWS: Rows = [*_FLV, *_HLS]
