"""The sample clip is what room.json says, and the servers that play it and take events are real and leave nothing."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import zxingcpp
from kafka import KafkaConsumer, KafkaProducer

from sample_streams.broker import Broker, bootstrap_or_embedded
from sample_streams.child import free_port
from sample_streams.live_hls import LiveHls, lay_out, playlist_at
from sample_streams.live_rtmp import LiveRtmp, packets
from sample_streams.make_clip import truth, write_clip
from sample_streams.rtmp_server import Kind, RtmpServer, rtmp_server, what_is_missing
from streammon.errors import StreammonError

ROOM = Path(__file__).parents[2] / "sample_streams" / "room.mp4"
TIMEOUT = (5.0, 5.0)


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey clip of 4 s, two GOPs."""
    clip = tmp_path_factory.mktemp("clips") / "short.mp4"
    write_clip(clip, (np.full((720, 1280, 3), 90 + n, np.uint8) for n in range(100)))
    return clip


@pytest.fixture(params=["nginx", "node"])
def server(request: pytest.FixtureRequest) -> Iterator[RtmpServer]:
    """A running RTMP server of each kind. Where one cannot be had it is skipped, but in CI that is a failure."""
    kind: Kind = request.param
    missing = what_is_missing(kind)
    if missing is not None and not os.environ.get("CI"):
        pytest.skip(missing)
    with rtmp_server(kind) as running:
        yield running


def _until(condition: Callable[[], bool], within_s: float) -> bool:
    give_up_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.05)
    return True


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body.decode()


def _frames(url: str, count: int) -> list[float]:
    """The times of the first `count` pictures of a live stream."""
    times: list[float] = []
    with av.open(url, timeout=TIMEOUT) as container:
        for frame in container.decode(video=0):
            times.append(frame.time)
            if len(times) == count:
                break
    return times


def _is_there(url: str) -> bool:
    try:
        _get(url)
    except urllib.error.HTTPError:
        return False
    return True


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_clip_is_what_its_readme_says() -> None:
    with av.open(str(ROOM)) as clip:
        video, audio = clip.streams.video[0], clip.streams.audio[0]
        seen = (video.codec_context.name, video.width, video.height, audio.codec_context.name)
        rate = video.average_rate
        demuxed = [packet for packet in clip.demux(video) if packet.pts is not None]
        sent = [(packet.pts or 0, packet.is_keyframe) for packet in demuxed]
        base = demuxed[0].time_base
    key_times_s = [float(pts * base) for pts, key in sent if key]
    assert seen == ("h264", 1280, 720, "aac")
    assert rate == Fraction(25)
    assert [pts for pts, _ in sent] != sorted(pts for pts, _ in sent), "no B-frames"
    assert key_times_s == [float(t) for t in range(0, 48, 2)]
    assert len(sent) == 48 * 25
    assert ROOM.stat().st_size <= 3_000_000


def test_room_json_belongs_to_the_clip() -> None:
    assert json.loads(ROOM.with_suffix(".json").read_text(encoding="utf-8")) == truth()


def test_every_violation_is_outside_the_quiet_stretches() -> None:
    said: Any = truth()
    for quiet in said["quiet"]:
        assert quiet["end_s"] - quiet["start_s"] >= 6
        for found in said["violations"]:
            assert found["end_s"] <= quiet["start_s"] or quiet["end_s"] <= found["start_s"]


def test_the_code_reads_in_its_stretch_only() -> None:
    said: Any = truth()
    (code,) = [found for found in said["violations"] if found["label"] == "advertising.qr_code"]
    read: dict[float, list[str]] = {}
    with av.open(str(ROOM)) as clip:
        clip.streams.video[0].codec_context.skip_frame = "NONKEY"
        for frame in clip.decode(video=0):
            codes = zxingcpp.read_barcodes(frame.to_ndarray(format="rgb24"))
            read[frame.time] = [found.text for found in codes]
    assert len(read) == 24
    for t_s, payloads in read.items():
        shown = code["start_s"] <= t_s < code["end_s"]
        assert payloads == ([code["payload"]] if shown else []), t_s


def test_a_live_playlist_grows_slides_and_ends() -> None:
    pieces = [(Path("a.ts"), 2.0), (Path("b.ts"), 1.5)]
    segments = lay_out(pieces, loop=2)
    began = datetime(2026, 1, 1, tzinfo=UTC)

    first = playlist_at(segments, 2.0, 3, began)
    assert first.count("#EXTINF") == 1
    assert "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+00:00\n#EXTINF:2.000000,\n0.ts\n" in first
    assert "ENDLIST" not in first

    again = playlist_at(segments, 6.9, 2, began)
    assert "#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n" in again
    assert "1.ts\n#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:03.500+00:00\n" in again

    last = playlist_at(segments, 7.0, 1, began)
    assert "#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in last
    assert last.endswith("3.ts\n#EXT-X-ENDLIST\n")


def test_hls_plays_at_real_time_pace() -> None:
    with LiveHls(ROOM, window=1) as live:
        assert "#EXT-X-MEDIA-SEQUENCE:0\n" in _get(live.url)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            _get(live.url.replace("live.m3u8", "1.ts"))
        began_s = time.monotonic()
        times = _frames(live.url, 60)
        took_s = time.monotonic() - began_s
        slid = _get(live.url)
    assert times[-1] - times[0] == pytest.approx(59 / 25, abs=0.001)
    assert 1.0 < took_s < 8.0
    assert "#EXT-X-MEDIA-SEQUENCE:0\n" not in slid
    assert slid.count("#EXTINF") == 1


def test_hls_ends_with_the_clip_and_leaves_no_thread(short_clip: Path) -> None:
    before = set(threading.enumerate())
    with LiveHls(short_clip) as live, av.open(live.url, timeout=TIMEOUT) as container:
        assert sum(1 for _ in container.decode(video=0)) == 100
        assert _get(live.url).endswith("#EXT-X-ENDLIST\n")
        assert 3.9 < (datetime.now(UTC) - live.started_at).total_seconds() < 12
    live.close()
    assert set(threading.enumerate()) == before


def test_a_loop_goes_on_without_a_jump(short_clip: Path) -> None:
    sent = [(packet.stream.type, dts_s) for packet, dts_s in packets(short_clip, 2, 0.0)]
    video_s = [dts_s for kind, dts_s in sent if kind == "video"]
    assert len(video_s) == 200
    steps_s = np.diff(video_s)
    assert steps_s.min() > 0.03
    assert steps_s.max() < 0.2


def test_rtmp_is_published_and_pulled(server: RtmpServer) -> None:
    with LiveRtmp(ROOM, server.rtmp_url("room"), start_s=9.0) as live:
        times = _frames(server.rtmp_url("room"), 50)
        web_url = server.hls_url("room") or server.flv_url("room")
        assert web_url is not None
        if server.kind == "nginx":
            assert _until(lambda: _is_there(web_url), 10), "nginx wrote no playlist"
        assert len(_frames(web_url, 10)) == 10
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 1.0
    assert _gone(live.pid)
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(49 / 25, abs=0.2)


def test_a_server_can_crash_and_come_back(server: RtmpServer) -> None:
    with LiveRtmp(ROOM, server.rtmp_url("room")) as live:
        crashed = server.pid
        server.kill()
        assert crashed is not None
        assert _gone(crashed)
        assert live.wait(5), "the publisher did not notice"
    server.restart()
    with LiveRtmp(ROOM, server.rtmp_url("room")):
        again = server.pid
    server.close()
    server.close()
    assert again is not None
    assert _gone(again)


def test_a_publisher_that_hangs_is_stopped(server: RtmpServer) -> None:
    with LiveRtmp(ROOM, server.rtmp_url("room")) as live:
        os.kill(live.pid, signal.SIGSTOP)
        began_s = time.monotonic()
        live.close()
        assert time.monotonic() - began_s < 1.0
    assert _gone(live.pid)


def test_publishing_to_nobody_says_so(short_clip: Path) -> None:
    with pytest.raises(StreammonError, match="does not take the stream: Connection refused"):
        LiveRtmp(short_clip, f"rtmp://127.0.0.1:{free_port()}/live/room")


def _consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The first `count` values of `topic`, or as many as come within 10 s."""
    consumer: Any = KafkaConsumer(  # type: ignore[no-untyped-call]
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    try:
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def _produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer: Any = KafkaProducer(bootstrap_servers=bootstrap)  # type: ignore[no-untyped-call]
    try:
        for sent in [producer.send(topic, value) for value in values]:
            sent.get(timeout=10)
    finally:
        producer.close(timeout=5)


def test_a_broker_takes_and_gives_records() -> None:
    values = [b"one", b"two", b"three"]
    topic = f"sample-streams-{time.time_ns()}"
    with bootstrap_or_embedded() as bootstrap:
        _produce(bootstrap, topic, values)
        assert _consume(bootstrap, topic, 3) == values


def test_a_broker_keeps_records_over_a_restart() -> None:
    with Broker() as broker:
        _produce(broker.bootstrap, "kept", [b"before"])
        first = broker.pid
        broker.restart()
        assert broker.pid not in {first, None}
        _produce(broker.bootstrap, "kept", [b"after"])
        assert _consume(broker.bootstrap, "kept", 2) == [b"before", b"after"]
        last = broker.pid
    assert last is not None
    assert _gone(last)


def test_a_broker_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka.example:9092")
    with bootstrap_or_embedded() as bootstrap:
        assert bootstrap == "kafka.example:9092"


def test_a_missing_broker_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sample_streams.broker.find_spec", lambda _name: None)
    with pytest.raises(StreammonError, match=r"pip install 'streammon\[demo\]'"):
        Broker()
