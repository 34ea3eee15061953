"""The sampler keeps the pictures of the right times and decodes little else. Real media, encoded here with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from io import BytesIO
from itertools import pairwise
from random import Random
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from streammon.ingest.sampling import sampler as module
from streammon.ingest.sampling.lag import Backlog, DriftLag
from streammon.ingest.sampling.sampler import Arrival, Sample, Sampler

RATE = 25
REORDER_S = 4 / RATE
"""With three B-frames between references, the next picture that is not skipped is at most this far off."""
X264 = {"preset": "ultrafast", "scenecut": "0", "tune": "zerolatency", "bf": "0"}
MEDIA: dict[str, tuple[str, str, dict[str, str]]] = {
    "b-frames": ("libx264", "mp4", {"preset": "veryfast", "bf": "3", "g": "50", "x264-params": "scenecut=0:b-adapt=0"}),
    "open-gop": ("libx264", "mpegts", {"preset": "veryfast", "bf": "3", "g": "50",
                                       "x264-params": "scenecut=0:b-adapt=0:open-gop=1"}),
    "plain": ("libx264", "mpegts", {**X264, "g": "50"}),
    "short-gop": ("libx264", "mpegts", {**X264, "g": "10"}),
    "long-gop": ("libx264", "mp4", {**X264, "g": "250"}),
    "endless": ("libx264", "matroska", {**X264, "g": "100000"}),
    "mpeg4": ("mpeg4", "avi", {"bf": "0", "g": "50", "sc_threshold": "1000000000"}),
    "vp9": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8", "g": "50", "lag-in-frames": "0"}),
}  # fmt: skip
Mangle = Callable[["av.Packet[VideoStream]", int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A sample, what is in its picture, and the stream time of the packet that it came out on."""

    pts_s: float
    number: int
    key: bool
    out_at_s: float


def picture(number: int) -> av.VideoFrame:
    """Ten bars, 16 px wide each: the bits of `number`, white for 1."""
    row = np.repeat([255 * (number >> bit & 1) for bit in range(10)], 16).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.broadcast_to(row[None, :, None], (96, 160, 3))))


def number_in(frame: av.VideoFrame) -> int:
    bars = frame.to_ndarray(format="gray").reshape(96, 10, 16).mean(axis=(0, 2))
    return sum(1 << bit for bit in range(10) if bars[bit] > 128)


@cache
def media(kind: str, seconds: int = 20) -> bytes:
    codec, container, options = MEDIA[kind]
    file = BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(seconds * RATE):
            out.mux(stream.encode(picture(number)))
        out.mux(stream.encode(None))
    return file.getvalue()


def arrived(pts_s: float, received_s: float, *, overdue: bool = False) -> Arrival:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Arrival(pts_s=pts_s, received_at=at, received_s=received_s, overdue=overdue)


class Playback:
    """One connection's packets, fed to a sampler."""

    def __init__(self, kind: str, interval_s: float, seconds: int = 20, **options: Any) -> None:
        self._open(kind, seconds)
        self.sampler = Sampler(self.stream.codec_context, interval_s, **options)

    def begin_run(self, kind: str, start_s: float) -> None:
        """Goes on with another encoding, whose first packet is at `start_s` of the session."""
        self._open(kind, 20)
        self._start_s = start_s
        self.sampler.begin_run(self.stream.codec_context)

    def _open(self, kind: str, seconds: int) -> None:
        self.container = av.open(BytesIO(media(kind, seconds)), "r")
        self.stream = self.container.streams.video[0]
        self._start_s = 0.0

    def samples(self, mangle: Mangle | None = None, skip: int = 0) -> Iterator[Taken]:
        first: int | None = None
        for index, packet in enumerate(self.container.demux(self.stream)):
            if packet.size == 0 or packet.pts is None:
                continue
            first = packet.pts if first is None else first
            pts_s = self._start_s + float((packet.pts - first) * Fraction(packet.time_base))
            if mangle is not None:
                mangle(packet, index)
            if index >= skip:
                yield from self._feed(packet, pts_s)

    def _feed(self, packet: av.Packet[VideoStream], pts_s: float) -> Iterable[Taken]:
        arrival = arrived(pts_s, pts_s)
        sample: Sample | None = self.sampler.feed(packet, arrival)
        if sample is None:
            return []
        seen, key = number_in(sample.picture), bool(sample.picture.key_frame)
        return [Taken(pts_s=sample.arrival.pts_s, number=seen, key=key, out_at_s=pts_s)]


@pytest.mark.parametrize("kind", ["b-frames", "open-gop", "plain", "long-gop", "mpeg4", "vp9"])
@pytest.mark.parametrize("interval_s", [0.5, 2.0, 3.0, 5.0])
def test_samples_are_the_pictures_of_the_due_times(kind: str, interval_s: float) -> None:
    playback = Playback(kind, interval_s)
    taken = list(playback.samples())

    assert len(taken) == round(20 / interval_s)
    assert [sample.number for sample in taken] == [round(sample.pts_s * RATE) for sample in taken]
    for index, sample in enumerate(taken):
        early_s = 0.25 * interval_s if sample.key else 0.0
        assert -early_s - 1e-6 <= sample.pts_s - index * interval_s <= REORDER_S + 1e-6
        assert sample.out_at_s - sample.pts_s <= 2 * REORDER_S + 1e-6
    assert playback.sampler.counts.decode_errors == 0


@pytest.mark.parametrize("kind", ["b-frames", "open-gop", "plain", "mpeg4", "vp9"])
@pytest.mark.parametrize("interval_s", [2.0, 4.0])
def test_key_frames_alone_are_decoded_where_they_serve(kind: str, interval_s: float) -> None:
    playback = Playback(kind, interval_s)
    taken = list(playback.samples())

    assert playback.sampler.counts.decoded == len(taken) == 20 / interval_s
    assert all(sample.key for sample in taken)
    assert [sample.out_at_s for sample in taken] == [sample.pts_s for sample in taken], "held back by the decoder"


def test_a_gop_in_which_nothing_is_due_is_never_decoded() -> None:
    playback = Playback("plain", 9.0)
    assert [sample.pts_s for sample in playback.samples()] == pytest.approx([0.0, 8.0, 16.0])
    assert playback.sampler.counts.decoded == 3


def test_without_b_frames_a_sample_comes_out_on_its_own_packet() -> None:
    taken = list(Playback("long-gop", 1.5).samples())
    assert [sample.pts_s for sample in taken] == pytest.approx([1.5 * n for n in range(14)], abs=1 / RATE)
    assert all(sample.out_at_s == sample.pts_s for sample in taken)


def test_jitter_moves_each_instant_by_up_to_its_share_and_keeps_the_rate() -> None:
    taken = [sample.pts_s for sample in Playback("long-gop", 1.0, jitter=0.4, draw=Random(1).random).samples()]  # noqa: S311
    gaps = [after - before for before, after in pairwise(taken)]

    assert all(0.6 - 1 / RATE <= gap <= 1.4 + 1 / RATE for gap in gaps)
    assert len({round(gap, 2) for gap in gaps}) > len(gaps) / 2, "the instants can be guessed"
    assert sum(gaps) / len(gaps) == pytest.approx(1.0, abs=0.1)
    assert [sample.pts_s for sample in Playback("long-gop", 1.0, jitter=0.4, draw=Random(2).random).samples()] != taken  # noqa: S311


@pytest.mark.parametrize("kind", ["b-frames", "plain", "long-gop"])
def test_a_shorter_interval_holds_from_the_next_picture_on(kind: str) -> None:
    playback = Playback(kind, 8.0)
    samples = playback.samples(lambda _, index: playback.sampler.set_interval(1.0) if index == 100 else None)
    times = [sample.pts_s for sample in samples]

    assert times[0] == 0.0
    assert times[1] == pytest.approx(4.0, abs=2 * REORDER_S), "the picture of now, not one that has gone by"
    assert np.diff(times[1:]).tolist() == pytest.approx([1.0] * len(times[2:]), abs=0.25 + REORDER_S)
    assert len(times) == pytest.approx(17, abs=1)


@pytest.mark.parametrize("kind", ["b-frames", "plain", "long-gop"])
def test_a_longer_interval_holds_from_the_last_sample_on(kind: str) -> None:
    playback = Playback(kind, 1.0)
    samples = playback.samples(lambda _, index: playback.sampler.set_interval(5.0) if index == 110 else None)
    times = [sample.pts_s for sample in samples]

    assert times[:5] == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0], abs=0.25)
    assert times[5:] == pytest.approx([9.0, 14.0, 19.0], abs=1.25)


@pytest.mark.parametrize("kind", ["b-frames", "plain", "mpeg4"])
def test_a_start_in_mid_gop_waits_for_a_key_frame(kind: str) -> None:
    playback = Playback(kind, 1.0)
    taken = list(playback.samples(skip=20))
    assert taken[0].key
    assert taken[0].pts_s == pytest.approx(2.0)
    assert all(sample.number == round(sample.pts_s * RATE) for sample in taken)
    assert playback.sampler.counts.decode_errors == 0


def corrupt(packet: av.Packet[VideoStream]) -> None:
    """Garbage in place of the packet's payload, as a lossy path leaves it."""
    memoryview(packet)[:] = b"\xff" * packet.size


@pytest.mark.parametrize("kind", ["b-frames", "long-gop"])
def test_corrupt_packets_are_counted_and_do_not_stop_sampling(kind: str) -> None:
    playback = Playback(kind, 1.0)
    taken = list(playback.samples(lambda packet, index: corrupt(packet) if 10 <= index < 16 else None))

    assert 1 <= playback.sampler.counts.decode_errors <= 6
    assert [sample.pts_s for sample in taken if sample.pts_s >= 2.0] == pytest.approx(list(range(2, 20)), abs=0.25)


def test_a_corrupt_key_frame_costs_its_own_sample_only() -> None:
    playback = Playback("plain", 2.0)
    taken = list(playback.samples(lambda packet, index: corrupt(packet) if index == 50 else None))

    assert playback.sampler.counts.decode_errors >= 1
    assert [sample.number for sample in taken if sample.key] == [0, *range(100, 500, 50)]


def test_what_is_kept_of_a_gop_without_end_is_bounded() -> None:
    playback = Playback("endless", 600.0, 60)
    longest = most_arrivals = 0

    def measure(packet: av.Packet[VideoStream], index: int) -> None:
        nonlocal longest, most_arrivals
        longest = max(longest, len(playback.sampler._gop.packets))
        most_arrivals = max(most_arrivals, len(playback.sampler._arrivals))

    assert len(list(playback.samples(measure))) == 1
    assert 500 < longest <= module._MAX_PENDING_PACKETS + 1
    assert most_arrivals <= module._MAX_PENDING_PACKETS + module._REORDER_PACKETS + 1


def test_what_is_kept_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_PENDING_BYTES", 5_000)
    playback = Playback("endless", 600.0, 60)
    most = largest = 0

    def measure(packet: av.Packet[VideoStream], index: int) -> None:
        nonlocal most, largest
        largest = max(largest, packet.size)
        most = max(most, sum(kept.size for kept in playback.sampler._gop.packets))

    assert len(list(playback.samples(measure))) == 1
    assert 4_000 < most <= 5_000 + largest


def test_a_sample_after_a_long_undecoded_gop_is_still_right() -> None:
    taken = list(Playback("endless", 35.0, 60).samples())
    assert [sample.pts_s for sample in taken] == pytest.approx([0.0, 35.0])
    assert [sample.number for sample in taken] == [0, 875]


RUNS = [("b-frames", "plain"), ("long-gop", "b-frames"), ("open-gop", "mpeg4"), ("plain", "vp9"), ("vp9", "long-gop")]


@pytest.mark.parametrize(("before", "after"), RUNS)
@pytest.mark.parametrize("interval_s", [1.0, 3.0])
def test_a_new_run_is_sampled_on_at_the_same_rate(before: str, after: str, interval_s: float) -> None:
    playback = Playback(before, interval_s)
    taken = list(playback.samples())
    playback.begin_run(after, start_s=20.0)
    goes_on = list(playback.samples())

    assert [sample.number for sample in goes_on] == [round((sample.pts_s - 20.0) * RATE) for sample in goes_on]
    assert len(taken) + len(goes_on) == pytest.approx(40 / interval_s, abs=1)
    times = [sample.pts_s for sample in (*taken, *goes_on)]
    assert np.diff(times).tolist() == pytest.approx([interval_s] * len(times[1:]), abs=0.25 * interval_s + REORDER_S)
    assert playback.sampler.counts.decode_errors == 0


@pytest.mark.parametrize("kind", ["b-frames", "long-gop"])
def test_a_run_cut_off_in_mid_gop_leaves_nothing_in_the_next(kind: str) -> None:
    playback = Playback(kind, 3.0)
    samples = playback.samples()
    assert [round(next(samples).pts_s) for _ in range(2)] == [0, 3]
    playback.begin_run("plain", start_s=4.0)
    taken = list(playback.samples())
    assert [sample.pts_s for sample in taken] == pytest.approx([6.0, 9.0, 12.0, 15.0, 18.0, 21.0], abs=0.8)
    assert [sample.number for sample in taken] == [round((sample.pts_s - 4.0) * RATE) for sample in taken]


def test_a_run_that_begins_in_mid_gop_waits_for_a_key_frame() -> None:
    playback = Playback("plain", 1.0)
    assert len(list(playback.samples())) == 20
    playback.begin_run("plain", start_s=20.0)
    taken = list(playback.samples(skip=20))
    assert taken[0].key
    assert taken[0].pts_s == pytest.approx(22.0)
    assert taken[0].number == 50
    assert playback.sampler.counts.decode_errors == 0


def forget_pts(packet: av.Packet[VideoStream], _: int) -> None:
    packet.pts = None


def same_pts(packet: av.Packet[VideoStream], _: int) -> None:
    packet.pts = 7


@pytest.mark.parametrize("kind", ["b-frames", "mpeg4", "vp9"])
@pytest.mark.parametrize("mangle", [forget_pts, same_pts])
def test_packets_whose_own_stamps_are_missing_or_the_same_are_sampled_as_others(kind: str, mangle: Mangle) -> None:
    expected = list(Playback(kind, 1.5).samples())
    assert list(Playback(kind, 1.5).samples(mangle)) == expected
    assert len(expected) >= 13


def test_a_clock_that_is_set_back_makes_no_sample_run_back() -> None:
    """By less than a second, which may be reordering, just before a key frame that would serve as the next sample."""
    playback = Playback("short-gop", 4.0)
    times = []
    for index, packet in enumerate(playback.container.demux(playback.stream)):
        if packet.size > 0:
            pts_s = 3.5 + index / RATE - (0.8 if index >= 10 else 0.0)
            sample = playback.sampler.feed(packet, arrived(pts_s, pts_s))
            times += [] if sample is None else [sample.arrival.pts_s]
    assert times == pytest.approx([3.5, 3.5, 7.1, 11.1, 15.1, 19.1], abs=0.5)
    assert times == sorted(set(times))


STALL_AT_S = 6.2
STALL_S = 8.0


class Stalled:
    """Twenty seconds that come as they are made, but for what the stall keeps back and lets go at once."""

    def __init__(self, kind: str, interval_s: float) -> None:
        self.playback = Playback(kind, interval_s)
        self.drift, self.backlog = DriftLag(), Backlog()
        self.samples: list[tuple[float, float]] = []
        self.decoded_of_backlog = 0
        for packet in self.playback.container.demux(self.playback.stream):
            if packet.size > 0 and packet.pts is not None:
                self._feed(packet, float((packet.pts - (self.playback.stream.start_time or 0)) * packet.time_base))

    def _feed(self, packet: av.Packet[VideoStream], pts_s: float) -> None:
        ends_s = STALL_AT_S + STALL_S
        received_s = pts_s if not STALL_AT_S <= pts_s < ends_s else ends_s + (pts_s - STALL_AT_S) / 1_000
        lag_s = self.drift.lag_s(pts_s, received_s)
        sampler = self.playback.sampler
        overdue = self.backlog.holds(lag_s, received_s, sampler._interval_s)
        decoded = sampler.counts.decoded
        sample = sampler.feed(packet, arrived(pts_s, received_s, overdue=overdue))
        self.decoded_of_backlog += sampler.counts.decoded - decoded if overdue else 0
        if sample is not None:
            assert number_in(sample.picture) == round(sample.arrival.pts_s * RATE)
            self.samples.append((sample.arrival.pts_s, received_s))

    @property
    def after(self) -> list[float]:
        """The stream times of the samples that came after the stall."""
        return [pts_s for pts_s, received_s in self.samples if received_s >= STALL_AT_S + STALL_S]


@pytest.mark.parametrize("kind", ["b-frames", "open-gop", "plain", "mpeg4", "vp9"])
@pytest.mark.parametrize("interval_s", [1.0, 2.0])
def test_after_a_stall_the_newest_key_frame_is_next_and_never_the_backlog(kind: str, interval_s: float) -> None:
    stalled = Stalled(kind, interval_s)
    # The stall ends at 14.2 s, of which half a second is not late; a key frame is at every even second.
    assert stalled.after[:2] == pytest.approx([12.0, 14.0], abs=0.3)
    assert np.diff(stalled.after[1:]).max() <= interval_s + 0.25 * interval_s + REORDER_S
    assert stalled.playback.sampler.counts.decode_errors == 0
    assert stalled.decoded_of_backlog == 0


def test_after_a_stall_in_a_gop_that_is_longer_the_picture_of_now_is_next() -> None:
    stalled = Stalled("endless", 2.0)
    assert [pts_s for pts_s, _ in stalled.samples[:4]] == pytest.approx([0.0, 2.0, 4.0, 6.0])
    assert stalled.after == pytest.approx([13.7, 15.7, 17.7, 19.7], abs=0.1)


def test_a_key_frame_that_was_sampled_before_the_stall_is_not_sampled_again() -> None:
    stalled = Stalled("long-gop", 3.0)
    times = [pts_s for pts_s, _ in stalled.samples]
    assert times == sorted(set(times))
    assert stalled.after[0] == pytest.approx(10.0), "the newest key frame"
    assert stalled.after[1] == pytest.approx(13.7, abs=0.1), "nothing between it and now"


def test_where_the_newest_key_frame_is_corrupt_the_next_one_is_sampled() -> None:
    playback = Playback("plain", 1.0)
    taken = []
    for index, packet in enumerate(playback.container.demux(playback.stream)):
        if packet.size == 0:
            continue
        if index == 200:
            corrupt(packet)
        sample = playback.sampler.feed(packet, arrived(index / RATE, 0.0, overdue=100 <= index < 240))
        taken += [] if sample is None else [sample.arrival.pts_s]
    assert taken[:4] == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert taken[4:7] == pytest.approx([10.0, 10.6, 11.6])
