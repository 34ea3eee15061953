"""That the bench measures what it says: its server's clock, its arithmetic, its search."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from fractions import Fraction
from io import BytesIO
from itertools import islice, pairwise

import av
import numpy as np
import pytest

from tests.benchmarks.engine import ours, theirs
from tests.benchmarks.engine.point import Point
from tests.benchmarks.engine.rooms import Clip
from tests.benchmarks.engine.scrape import Scrape, read
from tests.benchmarks.engine.search import largest
from tests.benchmarks.engine.theirs import Result
from tests.benchmarks.engine.tree import usage

_RATE, _GOP, _FRAMES = 25, 25, 100


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Four seconds with B-frames, a key frame a second."""
    file = BytesIO()
    with av.open(file, "w", format="flv") as out:
        options = {"g": str(_GOP), "bf": "2", "sc_threshold": "0", "preset": "ultrafast"}
        stream = out.add_stream("libx264", rate=_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(_FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 2, np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return Clip(file.getvalue())


def test_a_room_begins_with_a_key_frame_and_its_clock_goes_on_over_the_clips_end(clip: Clip) -> None:
    tags = list(islice(clip.from_key(2500), 2 * _FRAMES))
    times_ms = [at_ms for at_ms, _ in tags]
    assert (times_ms[0], tags[0][1].key) == (3000, True)
    assert {late - soon for soon, late in pairwise(times_ms)} == {1000 // _RATE}
    assert clip.length_ms == _FRAMES * 1000 // _RATE


def test_what_a_room_sends_is_decoded_with_times_that_only_rise(clip: Clip) -> None:
    tags = list(islice(clip.from_key(2500), 2 * _FRAMES))
    began_ms = tags[0][0]
    sent = clip.opening + b"".join(tag.stamped(at_ms - began_ms) for at_ms, tag in tags)
    with av.open(BytesIO(sent), "r", format="flv") as room:
        times_s = [frame.time for frame in room.decode(video=0) if frame.time is not None]
    assert len(times_s) == 2 * _FRAMES
    assert all(late - soon == pytest.approx(1 / _RATE, abs=0.002) for soon, late in pairwise(times_s))


def test_a_time_of_more_than_four_hours_takes_the_fourth_byte(clip: Clip) -> None:
    stamped = clip.tags[0].stamped(0x1234567)
    assert (stamped[4:7], stamped[7]) == (bytes([0x23, 0x45, 0x67]), 0x01)


def test_a_file_without_video_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no H\.264 video"):
        Clip(b"FLV\x01\x01\0\0\0\x09\0\0\0\0")


_METRICS = """\
# TYPE age histogram
age_bucket{le="0.5"} 10
age_bucket{le="1.0"} 18
age_bucket{le="+Inf"} 20
age_sum 12
age_count 20
# TYPE streammon_room_frames_examined_total counter
streammon_room_frames_examined_total{room="0"} 20
streammon_room_frames_examined_total{room="1"} 10
# TYPE streammon_frames_not_examined_total counter
streammon_frames_not_examined_total{detector="ocr",reason="overdue"} 3
streammon_frames_not_examined_total{detector="ocr",reason="unchanged"} 6
streammon_frames_not_examined_total{detector="nsfw",reason="failed"} 1
# TYPE streammon_frames_dropped_total counter
streammon_frames_dropped_total{room="0",reason="unfinished"} 2
streammon_frames_dropped_total{room="1",reason="unfinished"} 1
streammon_frames_dropped_total{room="1",reason="overdue"} 7
# TYPE streammon_room_cpu_seconds_total counter
streammon_room_cpu_seconds_total{room="0",tenant="a",part="ocr"} 2.5
streammon_room_cpu_seconds_total{room="1",tenant="a",part="ocr"} 0.5
# TYPE streammon_engine_saturation_ratio gauge
streammon_engine_saturation_ratio 0.9
"""


@pytest.mark.parametrize(("share", "expected"), [(0.25, 0.25), (0.5, 0.5), (0.7, 0.75), (0.95, 1.0)])
def test_a_quantile_lies_within_its_bucket(share: float, expected: float) -> None:
    assert read(_METRICS).quantile("age", share) == pytest.approx(expected)


def test_without_an_observation_there_is_no_quantile() -> None:
    metrics = read(_METRICS)
    assert math.isnan(metrics.since(metrics).quantile("age", 0.5))


def test_ours_counts_what_no_detector_got_to_as_not_judged() -> None:
    metrics = read(_METRICS)
    found = ours.outcome(metrics.since(Scrape(samples={})), metrics, 40.0)
    one_failed = 29 / 30
    assert found.shares == {0: pytest.approx(18 / 20 * one_failed), 1: pytest.approx(9 / 20 * one_failed)}
    assert found.notes["reused ocr"] == pytest.approx(0.2)
    assert found.notes["saturation"] == 0.9
    assert found.notes["core-ms ocr"] == pytest.approx(100.0)


def test_theirs_counts_what_was_written_in_time_and_how_far_a_room_fell_behind() -> None:
    results = [
        Result(room=room, frame=frame, read_s=100 + read_s, done_s=100 + read_s + 0.5)
        for room, frame, read_s in [(0, 0, -3.0), (0, 60, 1.0), (0, 120, 5.0), (0, 180, 9.0), (1, 60, 1.0), (1, 60, 39)]
    ]
    found = theirs.outcome(results, 100.0, 20.0)
    assert found.shares == {0: pytest.approx(3 * 2 / 20), 1: pytest.approx(2 / 20)}
    assert found.age_p95_s == pytest.approx(0.5)
    assert found.notes["behind_s"] == pytest.approx(8.0 - 120 / 30)


def test_theirs_without_a_result_is_never_in_time() -> None:
    found = theirs.outcome([], 0.0, 20.0)
    assert (found.age_p95_s, found.shares) == (math.inf, {})


@pytest.mark.parametrize("most", [0, 1, 3, 12, 13, 17, 29, 100])
def test_the_search_finds_the_most_within_a_twentieth(most: int) -> None:
    found = largest(lambda rooms: rooms <= most, 12, 20)
    assert found <= most
    assert most - found <= max(0, most / 20)


def test_the_search_asks_no_more_often_than_it_may_and_never_the_same_twice() -> None:
    asked: list[int] = []

    def holds(rooms: int) -> bool:
        asked.append(rooms)
        return rooms <= 17

    assert largest(holds, 12, 3) == 15
    assert asked == [12, 18, 15]


@pytest.mark.parametrize(("age_s", "share", "holds"), [(1.0, 0.8, True), (1.01, 1.0, False), (0.1, 0.79, False)])
def test_a_point_holds_only_in_time_and_with_every_room(age_s: float, share: float, holds: bool) -> None:
    point = Point(
        who="x", mix="moving", rooms=2, age_p50_s=0.1, age_p95_s=age_s, min_share=share, max_share=1.0,
        cores=1.0, server_cores=0.0, other_cores=0.0, rss_gb=1.0, pss_gb=1.0,
    )  # fmt: skip
    assert point.holds(1.0) is holds
    assert not Point(
        who="x", mix="moving", rooms=2, age_p50_s=0.1, age_p95_s=math.nan, min_share=1.0, max_share=1.0,
        cores=1.0, server_cores=0.0, other_cores=0.0, rss_gb=1.0, pss_gb=1.0,
    ).holds(1.0)  # fmt: skip


def test_what_a_process_started_counts_too() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=False)"
    child = "b = bytearray(64 << 20); b[::4096] = b'x' * len(b[::4096]); print('up', flush=True); input()"
    command = [sys.executable, "-c", script, child]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        parent.stdout.readline()
        used = usage([parent.pid])
        parent.stdin.write("\n")
        parent.stdin.flush()
    assert used.rss_bytes > 64 << 20
    assert used.pss_bytes > 64 << 20
    assert used.cpu_s > 0
    assert usage([parent.pid]).rss_bytes == 0
    assert usage([os.getpid()]).rss_bytes > 0
