"""A source opened on files: what is no video is told by class, code and cure, and a file is played at its own pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Event

import pytest

from streammon.errors import SourceEnded, SourceError, SourceHasNoVideo, SourceNotMedia, SourceUnreachable
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.demux import LONGEST_PAUSE_S
from streammon.ingest.media.opening import open_source
from streammon.ingest.source import Received, Run, Source, SourceRequest
from tests.media import RATE, clip

SECRET = "s3cret-name"  # noqa: S105 - part of a path that no message may repeat


def source(path: Path | str, stop: Event | None = None) -> Source:
    request = SourceRequest(url=str(path), headers={})
    return open_source(request, IngestConfig(), stop if stop is not None else Event())


def only_run(opened: Source) -> Run:
    """A file's one run."""
    (run,) = opened.runs()
    return run


def played(path: Path, stop: Event | None = None) -> Iterator[Received]:
    with closing(source(path, stop)) as opened:
        for run in opened.runs():
            yield from run.packets()


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


MP4 = clip(1.0, container="mp4")
CASES: list[tuple[str, Callable[[Path], object], type[SourceError], str]] = [
    ("missing.mp4", lambda _: None, SourceUnreachable, "no such file; give a path"),
    ("folder", Path.mkdir, SourceUnreachable, "cannot be read: Is a directory; give a video file"),
    ("text.txt", write(b"hello\n" * 500), SourceNotMedia, "check that the URL is the stream"),
    ("text.mp4", write(b"hello\n" * 500), SourceNotMedia, "check that the URL is the stream"),
    ("empty.mp4", write(b""), SourceNotMedia, "check that the URL is the stream"),
    ("cut-off.mp4", write(MP4[: len(MP4) // 2]), SourceNotMedia, "check that the URL is the stream"),
    ("no-times.h264", write(clip(0.4, container="h264")), SourceNotMedia, "check that the URL is the stream"),
    ("sound.m4a", write(clip(0, 0.5, container="mp4")), SourceHasNoVideo, "publish H.264, HEVC, VP9 or AV1"),
    ("script.ffconcat", write(b"ffconcat version 1.0\nfile other.mp4\n"), SourceNotMedia, "check that the URL"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "kind", "cure"), CASES, ids=[case[0] for case in CASES])
def test_what_is_no_video_is_told_with_its_cure(
    tmp_path: Path, name: str, make: Callable[[Path], object], kind: type[SourceError], cure: str
) -> None:
    folder = tmp_path / SECRET
    folder.mkdir()
    (folder / "other.mp4").write_bytes(MP4)
    make(folder / name)
    with pytest.raises(SourceError) as caught:
        next(played(folder / name))
    assert type(caught.value) is kind
    assert caught.value.code == {SourceUnreachable: "unreachable", SourceHasNoVideo: "no_video"}.get(kind, "not_media")
    assert cure in str(caught.value)
    assert not [part for part in (SECRET, name, "\n") if part in str(caught.value)]


@pytest.mark.parametrize(
    ("url", "live"),
    [("rtmp://h/a", True), ("RTMPS://h/a", True), ("https://h/a.m3u8", True), ("/a/b.mp4", False), ("b.mp4", False),
     ("file:b.mp4", False)],
)  # fmt: skip
def test_only_network_streams_are_live(url: str, live: bool) -> None:
    assert SourceRequest(url=url, headers={}).live is live


@pytest.mark.parametrize("container", ["mp4", "mpegts", "flv", "avi"])
def test_a_file_is_played_to_its_end_at_its_own_pace(tmp_path: Path, container: str) -> None:
    path = tmp_path / "clip"
    path.write_bytes(clip(0.28, 0.6, container=container))
    began_s = time.monotonic()
    with closing(source(path)) as opened:
        run = only_run(opened)
        packets = [received.packet for received in run.packets()]
        stamps = [float((packet.pts or 0) * (run.stream.time_base or 0)) for packet in packets]
        assert {packet.stream_index for packet in packets} == {run.stream.index}
    assert 0.2 < time.monotonic() - began_s < 2.0
    assert len(packets) == 7
    assert stamps[-1] - stamps[0] == pytest.approx(6 / RATE, abs=2e-3)


def test_a_file_is_given_longer_than_the_longest_pause_that_is_played(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    path.write_bytes(clip(0.2))
    with closing(source(path)) as opened:
        assert opened.patience_s > LONGEST_PAUSE_S


def test_a_file_cut_off_in_the_middle_gives_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    whole = clip(0.4)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert 3 <= len(list(played(path))) < 10


def test_packets_without_a_decoding_time_are_paced_by_when_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(clip(2.0, 2.0, container="matroska"))
    received = list(islice(played(path), 10))
    assert received[0].packet.dts is None
    assert received[-1].received_s - received[0].received_s == pytest.approx(9 / RATE, abs=0.1)


def test_a_packet_is_stamped_when_its_time_has_come(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    path.write_bytes(clip(0.4))
    began_s, began_at = time.monotonic(), datetime.now(UTC)
    received = list(played(path))
    assert received[-1].received_s - received[0].received_s == pytest.approx(9 / RATE, abs=0.1)
    for packet in received:
        assert began_s <= packet.received_s <= time.monotonic()
        assert began_at <= packet.received_at <= datetime.now(UTC)
        assert packet.program_at is None


@pytest.mark.parametrize("name", ["room:1.mp4", "clip:http", "a b%20c#d.mp4"])
def test_a_name_is_a_name_whatever_it_looks_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(clip(0.2))
    assert len(list(played(Path(name)))) == 5


def test_a_leap_in_a_files_clock_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(0.4, container="mp4", leap_s=3600.0))
    began_s = time.monotonic()
    assert len(list(played(path))) == 10
    assert time.monotonic() - began_s < 2.0


def test_a_stop_ends_a_pause_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(0.08, container="mp4", leap_s=20.0))
    stop, first = Event(), Event()

    def play() -> None:
        for _ in played(path, stop):
            first.set()

    room = threading.Thread(target=play)
    room.start()
    assert first.wait(2.0)
    assert room.is_alive()
    stop.set()
    room.join(1.0)
    assert not room.is_alive()


def test_a_source_may_be_closed_twice_and_then_ends(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    path.write_bytes(clip(0.2))
    opened = source(path)
    run = only_run(opened)
    opened.close()
    opened.close()
    with pytest.raises(SourceEnded):
        next(run.packets())
