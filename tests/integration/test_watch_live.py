"""The main job, end to end: ffmpeg publishes to nginx, two monitors watch over RTMP and HLS, a consumer reads Kafka."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sample_streams.broker import bootstrap_or_embedded
from sample_streams.child import free_port
from sample_streams.rtmp_server import rtmp_server, what_is_missing
from sample_streams.truth import faults, incidents, read_truth
from streammon.deliver.schemas import FOLDER
from streammon.entities import Moment
from streammon.events import EvidenceStatus, Phase
from streammon.fleet.pace_config import PaceConfig
from tests.integration.watching import CLIP, Consumed, Watching, consume, need_weights
from tests.needs import need

TRUTH = read_truth(CLIP.with_suffix(".json"))
INTERVAL_S = 2.0
SLACK_S = INTERVAL_S + 1.0  # ffmpeg starts up, nginx hands over at a key frame
ROOMS = ("by-rtmp", "by-hls")

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one publication of the clip led to."""

    consumed: Consumed
    clip_time: dict[str, Callable[[Moment], float]]
    joined_s: dict[str, tuple[float, ...]]
    """When in the clip a room's time may have begun."""
    metrics: str
    ready: int
    evidence: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    need_weights()
    need("nginx", what_is_missing("nginx"))
    need("ffmpeg", None if shutil.which("ffmpeg") else "apt-get install ffmpeg")
    folder = tmp_path_factory.mktemp("live")
    port = free_port()
    with ExitStack() as stack:
        bootstrap = stack.enter_context(bootstrap_or_embedded())
        server = stack.enter_context(rtmp_server(prefer="nginx"))
        hls_url = server.hls_url("room")
        assert hls_url is not None
        common = ("--interval", f"{INTERVAL_S}s", "--kafka", bootstrap)
        by_rtmp = Watching(folder, server.rtmp_url("room"), ROOMS[0], *common, "--http", f"127.0.0.1:{port}")
        by_hls = Watching(folder, hls_url, ROOMS[1], *common)
        for watching in (by_rtmp, by_hls):
            stack.enter_context(watching)
        for watching in (by_rtmp, by_hls):
            watching.wait_until_said("watching ", 60.0)
        published = _publish(stack, server.rtmp_url("room"))
        started_at = time.time()
        published.wait(TRUTH.duration_s + 10.0)
        time.sleep(5.0)  # HLS comes a few seconds after RTMP
        metrics = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        ready = urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status
        assert by_rtmp.interrupt() == 0, by_rtmp.said
        assert by_hls.interrupt() == 0, by_hls.said
        clip_time = {
            ROOMS[0]: lambda moment: moment.received_at.timestamp() - started_at,
            ROOMS[1]: lambda moment: moment.pts_s,
        }
        # HLS begins with any of the first segments, by when it is tried again, and nothing is shown before 8 s.
        joined_s = {ROOMS[0]: (0.0,), ROOMS[1]: (0.0, 2.0, 4.0, 6.0)}
        consumed = consume(bootstrap, ROOMS, 20.0)
        yield Run(
            consumed=consumed, clip_time=clip_time, joined_s=joined_s, metrics=metrics, ready=ready, evidence=folder
        )


def _publish(stack: ExitStack, url: str) -> subprocess.Popen[bytes]:
    command = ["ffmpeg", "-loglevel", "error", "-re", "-i", str(CLIP), "-c", "copy", "-f", "flv", url]
    published = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    stack.callback(published.wait, 5.0)
    stack.callback(published.kill)
    return published


@pytest.mark.parametrize("room", ROOMS)
def test_every_violation_is_reported_at_its_time_and_nothing_in_the_quiet(run: Run, room: str) -> None:
    def faults_of(joined_s: float) -> list[str]:
        reported = incidents(run.consumed.of(room), lambda moment: run.clip_time[room](moment) + joined_s)
        return faults(TRUTH, reported, SLACK_S)

    found = [faults_of(joined_s) for joined_s in run.joined_s[room]]
    assert [] in found, found[0]


def test_both_ways_of_watching_report_the_same(run: Run) -> None:
    told = [sorted((e.label, e.phase, e.verdict, e.subject) for e in run.consumed.of(room)) for room in ROOMS]
    assert told[0] == told[1]


def test_every_event_is_valid_by_the_published_schema(run: Run) -> None:
    schema = json.loads((FOLDER / "violation.v1.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert run.consumed.raw
    for event in run.consumed.raw:
        validator.validate(event)


@pytest.mark.parametrize("room", ROOMS)
def test_seq_rises_by_one_and_every_start_has_one_end(run: Run, room: str) -> None:
    events = run.consumed.of(room)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    starts = [event.incident_id for event in events if event.phase is Phase.START]
    ends = [event.incident_id for event in events if event.phase is Phase.END]
    assert sorted(starts) == sorted(ends)
    assert len(set(starts)) == len(starts)


def test_no_event_came_twice(run: Run) -> None:
    assert len(set(run.consumed.ids)) == len(run.consumed.ids)


def test_every_picture_that_an_event_names_is_there_with_its_hash(run: Run) -> None:
    pictures = {e.sha256: e.url for event in run.consumed.violations for e in event.evidence}
    assert pictures
    for sha256, url in pictures.items():
        assert url is not None
        assert hashlib.sha256(Path(url.removeprefix("file://")).read_bytes()).hexdigest() == sha256
    assert {e.status for event in run.consumed.violations for e in event.evidence} == {EvidenceStatus.PENDING}


def test_the_metrics_tell_what_was_done(run: Run) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(run.metrics)
        for sample in family.samples
    }
    assert run.ready == 200
    sampled = samples["streammon_frames_sampled_total", ROOMS[0]]
    usual, hurried = TRUTH.duration_s / INTERVAL_S, TRUTH.duration_s / PaceConfig().after_hit.interval
    assert 1.1 * usual < sampled <= 1.1 * hurried + 2, "it looks more closely where something was seen"
    assert samples["streammon_room_frames_examined_total", ROOMS[0]] >= 0.8 * sampled - 1
    assert samples["streammon_room_cpu_seconds_total", "ocr", ROOMS[0], "default"] > 0.0
    assert samples["streammon_frames_analysed_total", "ocr"] >= 0.8 * sampled - 1
    assert samples["streammon_events_total", "advertising.qr_code", "start", "block"] == 1
    assert samples["streammon_outbox_events", "kafka"] == 0
    assert samples["streammon_frames_decoded_total", ROOMS[0]] < samples["streammon_packets_total", ROOMS[0]]
