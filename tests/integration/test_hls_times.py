"""Times over HTTP: `pts_s` stays the stream's time whatever is missing, wraps or begins anew, and no sample is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from io import BytesIO
from threading import Event

import av
import pytest
from av.container import InputContainer, OutputContainer

from streammon.errors import SourceDenied, SourceEnded, SourceError, SourceFinished, SourceStalled, SourceUnreachable
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.opening import open_source
from streammon.ingest.sampling.sampler import Arrival, Sampler
from streammon.ingest.sampling.timeline import Timeline
from streammon.ingest.source import SourceRequest
from tests.integration.hls_watching import CONFIG, END, HEAD, coded, growing, text, ts_segments, watch
from tests.integration.scripted_http import Page, Reply, ScriptedServer, Talk
from tests.media import RATE

DISC = "#EXT-X-DISCONTINUITY\n"
GAP = "#EXT-X-GAP\n"
WRAP = 1 << 33
TICKS = 90_000
PES_PTS, PES_DTS = 0x80, 0x40


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Four seconds of one clip at /0.ts to /3.ts, and the same four with a clock each at /new0.ts to /new3.ts."""
    with ScriptedServer() as one:
        for number, content in enumerate(ts_segments()):
            one.pages |= {f"/{number}.ts": Reply(body=content), f"/new{number}.ts": Reply(body=restamped(content))}
        yield one


def second(*names: str) -> str:
    """The lines of segments of a second each."""
    return "".join(f"#EXTINF:1,\n{name}.ts\n" for name in names)


def sequence(first: int) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"


def date(after_s: float) -> str:
    return (
        f"#EXT-X-PROGRAM-DATE-TIME:{(datetime(2026, 5, 1, 12, tzinfo=UTC) + timedelta(seconds=after_s)).isoformat()}\n"
    )


@cache
def restamped(content: bytes, first: int = 0) -> bytes:
    """The same pictures with a clock that begins at `first`."""
    file = BytesIO()
    with av.open(BytesIO(content)) as source, av.open(file, "w", format="mpegts") as out:
        assert isinstance(source, InputContainer)
        assert isinstance(out, OutputContainer)
        stream = out.add_stream_from_template(source.streams.video[0])
        begin: int | None = None
        for packet in source.demux(video=0):
            if packet.pts is None or packet.dts is None:
                continue
            begin = packet.pts if begin is None else begin
            packet.pts, packet.dts = packet.pts - begin + first, packet.dts - begin + first
            packet.stream = stream
            out.mux(packet)
    return file.getvalue()


def without(content: bytes, kept: Callable[[int], bool]) -> bytes:
    """MPEG-TS whose pictures, but for those of the numbers that are `kept`, have no stamps (ISO/IEC 13818-1, 2.4.3)."""
    altered, number = bytearray(content), 0
    for at in range(0, len(altered), 188):
        payload = at + 4 + (1 + altered[at + 4] if altered[at + 3] & 0x20 else 0)
        starts = altered[at + 1] & 0x40 and altered[payload : payload + 4] == b"\0\0\1\xe0"
        if starts and not kept(number):
            altered[payload + 7] &= ~(PES_PTS | PES_DTS) & 0xFF
            length = altered[payload + 8]
            altered[payload + 9 : payload + 9 + length] = b"\xff" * length
        number += 1 if starts else 0
    return bytes(altered)


def sampled(url: str, interval_s: float = 0.2) -> list[tuple[float, int]]:
    """All samples of a stream, as a room takes them: `pts_s`, and the picture's number."""
    taken: list[tuple[float, int]] = []
    timeline: Timeline = Timeline(Fraction(1, TICKS))
    sampler: Sampler | None = None
    try:
        with closing(open_source(SourceRequest(url=url, headers={}), CONFIG, Event())) as source:
            for run in source.runs():
                timeline.begin_run(Fraction(run.stream.time_base or 1), run.skipped_s)
                decoder = run.stream.codec_context
                if sampler is None:
                    sampler = Sampler(decoder, interval_s)
                else:
                    sampler.begin_run(decoder)
                for received in run.packets():
                    stamp = received.packet.pts if received.packet.pts is not None else received.packet.dts
                    came_s = received.received_s
                    pts_s = timeline.untimed(came_s) if stamp is None else timeline.seconds(stamp)
                    arrival = Arrival(pts_s=pts_s, received_at=received.received_at, received_s=came_s)
                    sample = sampler.feed(received.packet, arrival)
                    if sample is not None:
                        brightness = bytes(sample.picture.planes[0])[0]
                        taken.append((sample.arrival.pts_s, round((brightness - 16) / 2)))
    except (SourceFinished, SourceEnded):
        pass
    return taken


def check(taken: list[tuple[float, int]], *seconds: int) -> None:
    """Samples are of these seconds of the clip, five in each, and of the time that they are said to be of."""
    wanted = [second * RATE + n for second in seconds for n in range(0, RATE, 5)]
    assert [number for _, number in taken] == pytest.approx(wanted, abs=1)  # the picture that is due, or the next
    assert [pts_s for pts_s, _ in taken] == pytest.approx([number / RATE for _, number in taken], abs=0.06)
    assert [pts_s for pts_s, _ in taken] == sorted({pts_s for pts_s, _ in taken})


def test_hls_comes_in_bursts_and_no_sample_is_lost(server: ScriptedServer) -> None:
    windows = [second("0"), second("0", "1"), second("0", "1", "2", "3")]
    server.pages["/live"] = growing([HEAD + lines for lines in [*windows, windows[-1] + END]])
    check(sampled(server.url("/live")), 0, 1, 2, 3)


@pytest.mark.parametrize("new", ["", "new"], ids=["one clock", "a clock each"])
@pytest.mark.parametrize("how", ["missing", "gap", "jump", "jump with dates", "gone"])
def test_a_second_that_is_missed_is_a_second_of_the_stream(server: ScriptedServer, how: str, new: str) -> None:
    a, b, c, d = (f"{new}{number}" for number in range(4))
    server.pages[f"/{b}.ts"] = Reply(status=404)
    disc = DISC if new else ""
    windows = {
        "missing": [sequence(0) + second(a), sequence(0) + second(a) + disc + second(b) + disc + second(c)],
        "gap": [sequence(0) + second(a), sequence(0) + second(a) + disc + GAP + second(b) + disc + second(c)],
        "jump": [sequence(0) + second(a), sequence(2) + disc + second(c)],
        "jump with dates": [sequence(0) + date(0) + second(a), sequence(7) + date(2) + second(c)],
        "gone": [sequence(0) + second(a), sequence(1) + second(b, c)],
    }[how]
    last = windows[-1] + disc + second(d)
    server.pages["/live"] = growing([*windows, last, last + END])
    check(sampled(server.url("/live")), 0, 2, 3)


def test_no_time_is_lost_where_a_new_clock_begins(server: ScriptedServer) -> None:
    lines = DISC.join(second(f"new{number}") for number in range(4))
    server.pages["/live"] = growing([HEAD + second("new0"), HEAD + lines, HEAD + lines + END])
    check(sampled(server.url("/live")), 0, 1, 2, 3)


@pytest.mark.parametrize("first", [WRAP - 2 * TICKS, WRAP - 100 * TICKS, 7 * TICKS])
@pytest.mark.parametrize("disc", ["", DISC], ids=["one run", "a run each"])
def test_a_clock_that_wraps_goes_on(server: ScriptedServer, disc: str, first: int) -> None:
    for number, content in enumerate(ts_segments()):
        server.pages[f"/w{number}.ts"] = Reply(body=restamped(content, (first + number * TICKS) % WRAP))
    lines = disc.join(second(f"w{number}") for number in range(4))
    server.pages["/live"] = growing([HEAD + second("w0"), HEAD + lines, HEAD + lines + END])
    check(sampled(server.url("/live")), 0, 1, 2, 3)


@pytest.mark.parametrize("first", [WRAP - 2 * TICKS, WRAP - 100 * TICKS, 0])
def test_a_clock_that_wraps_in_a_body_goes_on(server: ScriptedServer, first: int) -> None:
    server.pages["/live"] = Reply(body=restamped(coded("libx264", 160, 90, 4.0), first))
    check(sampled(server.url("/live")), 0, 1, 2, 3)


@pytest.mark.parametrize("to", [0, 50_000 * TICKS, WRAP - TICKS])
def test_a_clock_that_begins_anew_without_a_word_goes_on(server: ScriptedServer, to: int) -> None:
    pieces = ts_segments()
    content = b"".join(restamped(piece, at) for piece, at in zip(pieces, (9_000 * TICKS, to), strict=False))
    server.pages["/live"] = Reply(body=content)
    taken = sampled(server.url("/live"))
    times = [pts_s for pts_s, _ in taken]
    assert [number for _, number in taken[:5]] == pytest.approx(list(range(0, 25, 5)), abs=1)
    assert times == pytest.approx([0.2 * n for n in range(len(times))], abs=0.09)
    assert len(times) in {9, 10}


def test_pictures_of_which_most_have_no_stamp_are_sampled(server: ScriptedServer) -> None:
    content = without(coded("libx264", 160, 90, 4.0), lambda number: number % 5 == 0)
    server.pages["/live"] = Reply(body=content)
    taken = sampled(server.url("/live"))
    assert len(taken) == pytest.approx(20, abs=2)
    for pts_s, number in taken:
        assert pts_s == pytest.approx(number / RATE, abs=5 / RATE)


def test_a_stream_without_any_stamps_is_sampled_by_when_it_comes(server: ScriptedServer) -> None:
    content = without(coded("libx264", 160, 90, 4.0), lambda _: False)

    def live(talk: Talk) -> None:
        talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
        piece = len(content) // 188 // 40 * 188
        for start in range(0, len(content), piece):
            talk.send(content[start : start + piece])
            talk.wait(0.05)

    server.pages["/live"] = live
    taken = sampled(server.url("/live"), interval_s=0.4)
    assert len(taken) == pytest.approx(5, abs=1)  # four seconds of video in two of ours
    assert [number for _, number in taken] == sorted({number for _, number in taken})


def test_the_publisher_s_time_is_counted_on_when_its_tag_has_slid_out(server: ScriptedServer) -> None:
    windows = [sequence(0) + date(0) + second("0"), sequence(1) + second("1"), sequence(2) + GAP + second("9", "3")]
    server.pages["/live"] = growing([*windows, windows[-1] + END])
    began = datetime(2026, 5, 1, 12, tzinfo=UTC)
    numbers = [*range(50), *range(75, 100)]
    assert watch(server.url("/live")).program_at == [began + timedelta(seconds=number / RATE) for number in numbers]


def late(page: Reply, after_s: float) -> Page:
    def answer(talk: Talk) -> Reply:
        talk.wait(after_s)
        return page

    return answer


def test_the_lag_is_what_lies_between_a_packet_and_the_playlist_s_end_and_the_time_since(
    server: ScriptedServer,
) -> None:
    server.pages["/2.ts"] = late(Reply(body=ts_segments()[2]), 0.7)
    windows = [HEAD + second("0"), HEAD + second("0", "1"), HEAD + second("0", "1", "2", "3")]
    server.pages["/live"] = growing([*windows, windows[-1] + END])
    lag_s = watch(server.url("/live")).lag_s
    assert lag_s[:50] == pytest.approx([1 - n % RATE / RATE for n in range(50)], abs=0.2)
    assert lag_s[50:] == pytest.approx([2.7 - n / RATE for n in range(50)], abs=0.2)


def test_a_recording_is_never_behind(server: ScriptedServer) -> None:
    server.pages["/live"] = text(HEAD + second("0") + END)
    assert watch(server.url("/live")).lag_s == [0.0] * RATE


def reset(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n#EXTM3U")


def too_slow(talk: Talk) -> None:
    talk.wait(5.0)


FAILURES: dict[str, tuple[Page, type[SourceError]]] = {
    "500": (Reply(status=500), SourceUnreachable),
    "404": (Reply(status=404), SourceUnreachable),
    "reset": (reset, SourceEnded),
    "too slow": (too_slow, SourceStalled),
}


def failing(windows: list[str], page: Page, times: int) -> Page:
    """Each of the windows, the failure so often in between."""
    pages: list[Page] = [text(windows[0])]
    for window in windows[1:]:
        pages += [*[page] * times, text(window)]
    asked = iter(pages[:-1])

    def answer(talk: Talk) -> Reply | None:
        chosen = next(asked, pages[-1])
        return chosen if isinstance(chosen, Reply) else chosen(talk)

    return answer


@pytest.mark.parametrize("how", FAILURES)
def test_a_reload_that_fails_is_tried_again_and_nothing_is_missed(server: ScriptedServer, how: str) -> None:
    windows = [HEAD + second("0"), HEAD + second("0", "1"), HEAD + second("0", "1") + END]
    server.pages["/live"] = failing(windows, FAILURES[how][0], 1 if how == "too slow" else 3)
    watched = watch(server.url("/live"))
    assert type(watched.error) is SourceFinished
    assert watched.numbers == [list(range(50))]


@pytest.mark.parametrize("how", FAILURES)
def test_reloads_that_go_on_failing_are_given_up_and_say_why(server: ScriptedServer, how: str) -> None:
    page, kind = FAILURES[how]
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:0.3\n"
    server.pages["/live"] = failing([head + second("0"), head], page, 1_000)
    config = CONFIG.model_copy(update={"stall_after": 1.0})
    began_s = time.monotonic()
    assert type(watch(server.url("/live"), config).error) is kind
    assert 0.9 < time.monotonic() - began_s < 1.9
    assert len(server.paths()) >= (3 if how == "too slow" else 5)


class Late:
    """A stream of which a second comes, and from `after_s` on something else than before."""

    def __init__(self, before: Reply, after_s: float, after: Page) -> None:
        self._before, self._after_s, self._after = before, after_s, after
        self._began_s: float | None = None

    def __call__(self, talk: Talk) -> Reply | None:
        if self._began_s is None:
            self._began_s = time.monotonic()
            return text(HEAD + second("0"))
        if time.monotonic() - self._began_s < self._after_s:
            return self._before
        return self._after if isinstance(self._after, Reply) else self._after(talk)


def test_what_failed_says_more_than_that_time_ran_out(server: ScriptedServer) -> None:
    server.pages["/live"] = Late(Reply(status=500), 0.8, too_slow)
    config = CONFIG.model_copy(update={"stall_after": 1.0})
    assert type(watch(server.url("/live"), config).error) is SourceUnreachable


def test_a_segment_that_appears_late_has_only_what_is_left_of_the_time(server: ScriptedServer) -> None:
    server.pages["/slow.ts"] = too_slow
    server.pages["/live"] = Late(text(HEAD + second("0")), 0.6, text(HEAD + second("0", "slow")))
    config = CONFIG.model_copy(update={"stall_after": 1.0})
    began_s = time.monotonic()
    assert type(watch(server.url("/live"), config).error) is SourceStalled
    assert 0.9 < time.monotonic() - began_s < 1.45
    assert "/slow.ts" in server.paths()


def test_a_token_that_has_expired_ends_it_at_once(server: ScriptedServer) -> None:
    server.pages["/live"] = failing([HEAD + second("0"), HEAD], Reply(status=403), 1_000)
    began_s = time.monotonic()
    assert type(watch(server.url("/live")).error) is SourceDenied
    assert time.monotonic() - began_s < 1.2


def test_a_stop_is_heard_while_reloads_fail(server: ScriptedServer) -> None:
    stop, asked = Event(), [0]

    def page(talk: Talk) -> Reply:
        asked[0] += 1
        if asked[0] == 3:
            stop.set()
        return text(HEAD + second("0")) if asked[0] == 1 else Reply(status=500)

    server.pages["/live"] = page
    began_s = time.monotonic()
    watch(server.url("/live"), stop=stop)
    assert asked[0] == 3
    assert time.monotonic() - began_s < 1.5


def test_how_long_a_source_may_go_without_a_packet(server: ScriptedServer) -> None:
    config = IngestConfig.model_validate({**CONFIG.model_dump(), "stall_after": 2.0})
    long = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n"
    server.pages |= {
        "/live": text(sequence(0) + second("0")),
        "/long": text(long + second("0")),
        "/over": text(sequence(0) + second("0") + END),
    }
    found = {}
    for path in ("/0.ts", "/live", "/long", "/over"):
        with closing(open_source(SourceRequest(url=server.url(path), headers={}), config, Event())) as source:
            next(iter(source.runs()))
            found[path] = source.patience_s
    assert found == {"/0.ts": 2.0, "/live": 3.0, "/long": 18.0, "/over": 33.0}
