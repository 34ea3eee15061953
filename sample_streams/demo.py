"""The demo: plays the sample clip as two live streams, watches both, and shows what a Kafka consumer gets.

`python -m sample_streams.demo` exits with 1 where an expected event is missing or an unexpected one came.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from threading import Event, Thread

import msgspec
from prometheus_client import generate_latest
from rich.console import Console

from sample_streams.broker import bootstrap_or_embedded
from sample_streams.live_hls import LiveHls
from sample_streams.live_rtmp import LiveRtmp
from sample_streams.rtmp_server import RtmpServer, rtmp_server
from sample_streams.summary import summarise
from sample_streams.truth import faults, incidents, read_truth
from streammon.bus import Consumer, Received
from streammon.deliver.config import KafkaConfig
from streammon.deliver.console import describe
from streammon.entities import Moment, Room, RoomState
from streammon.errors import StreammonError
from streammon.events import StreamEvent, ViolationEvent
from streammon.fleet.config import Settings
from streammon.fleet.monitor import Monitor
from streammon.ingest.config import IngestConfig

CLIP = Path(__file__).with_name("room.mp4")
TOPICS = ("streammon.violations", "streammon.streams")

_SETTLE_S = 6.0  # an HLS viewer is this much behind at most
_OTHER_TOPIC_S = 1.0  # a room's last event on one topic may come before its last on the other
_SLACK_S = 0.5  # what a picture may be late on its way, beside the interval

_console = Console(highlight=False, soft_wrap=True, markup=False)

ClipTime = Callable[[Moment], float]


class Alerts:
    """Consumes the events, prints each as it comes, and keeps the violations. One thread."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(bootstrap, TOPICS, client_id="streammon-demo")
        self._stop = Event()
        self._thread = Thread(target=self._run, name="consumer", daemon=True)
        self._stopped: set[str] = set()
        self.violations: list[ViolationEvent] = []
        self._thread.start()

    def close(self, rooms: set[str], timeout_s: float) -> None:
        """Waits until the last event of each room has come, then ends."""
        until_s = time.monotonic() + timeout_s
        while not rooms <= self._stopped and time.monotonic() < until_s:
            self._thread.join(0.05)
        self._thread.join(_OTHER_TOPIC_S)
        self._stop.set()
        self._thread.join(5.0)
        self._consumer.close()

    def _run(self) -> None:
        for message in self._consumer.messages(600.0, stop=self._stop):
            self._take(message)

    def _take(self, message: Received) -> None:
        value = message.value if message.value is not None else b""
        violation = message.topic == TOPICS[0]
        _console.print(
            describe(dict(message.headers)["ce_dataschema"].decode(), value), style="bold red" if violation else "dim"
        )
        if violation:
            self.violations.append(msgspec.json.decode(value, type=ViolationEvent))
            return
        change = msgspec.json.decode(value, type=StreamEvent)
        if change.state is RoomState.STOPPED:
            self._stopped.add(change.room_id)


@contextmanager
def _step(what: str) -> Iterator[None]:
    started_s = time.monotonic()
    _console.print(f"… {what}", style="dim")
    yield
    _console.print(f"✓ {what} ({time.monotonic() - started_s:.1f} s)", style="green")


def _play(models: Path, interval_s: float) -> list[str]:
    """Runs the demo; returns what is wrong with the events, one line each."""
    truth = read_truth(CLIP.with_suffix(".json"))
    with ExitStack() as stack:
        with _step("starting a Kafka-protocol broker and an RTMP server"):
            bootstrap = stack.enter_context(bootstrap_or_embedded())
            server = stack.enter_context(rtmp_server())
        _console.print(f"  broker at {bootstrap}, RTMP by {server.kind}", style="dim")
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streammon-demo-")))
        kafka = KafkaConfig(bootstrap=bootstrap)
        ingest = IngestConfig(allow_networks=(ip_network("127.0.0.0/8"),))
        settings = Settings(interval=interval_s, models=models, state=state, kafka=kafka, ingest=ingest)
        with _step("loading and warming up the models"):
            monitor = Monitor(settings, write=None)
            stack.callback(monitor.close)
            monitor.warm_up()
        alerts = Alerts(bootstrap)
        rooms = _go_live(stack, server)
        _console.print(f"watching for {truth.duration_s:g} s; what a Kafka consumer receives:", style="bold")
        monitor.start([Room(room_id=name, url=url, interval_s=interval_s) for name, (url, _) in rooms.items()])
        monitor.wait(Event(), timeout_s=truth.duration_s + _SETTLE_S)
        monitor.close()
        page = generate_latest(monitor.metrics.registry).decode()
        alerts.close(set(rooms), timeout_s=10.0)
    _console.print(summarise(page, alerts.violations))
    wrong = []
    for room_id, (_, clip_time) in rooms.items():
        mine = [event for event in alerts.violations if event.room_id == room_id]
        wrong += [f"{room_id}: {line}" for line in faults(truth, incidents(mine, clip_time), interval_s + _SLACK_S)]
    return wrong


def _go_live(stack: ExitStack, server: RtmpServer) -> dict[str, tuple[str, ClipTime]]:
    """Starts both streams. By room id: its URL, and how a moment of it is told in seconds of the clip.

    They play the clip twice, so that at the end of the first time they are still live, and quiet.
    """
    rtmp_url = server.rtmp_url("demo")
    rtmp = stack.enter_context(LiveRtmp(CLIP, rtmp_url, loop=2))
    hls = stack.enter_context(LiveHls(CLIP, loop=2))
    return {
        "hls-room": (hls.url, lambda moment: _seconds(hls.started_at, moment.program_at)),
        "rtmp-room": (rtmp_url, lambda moment: _seconds(rtmp.started_at, moment.received_at)),
    }


def _seconds(start: datetime, at: datetime | None) -> float:
    """Seconds from one to the other; never, where a stream lost the clock that it had."""
    return math.inf if at is None else (at - start).total_seconds()


def main() -> int:
    """The exit status: 0 where every expected event came and no other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the weights")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between samples")
    args = parser.parse_args()
    try:
        wrong = _play(args.models, args.interval)
    except StreammonError as error:
        _console.print(f"the demo cannot run: {error}", style="bold red")
        return 1
    for line in wrong:
        _console.print(f"✗ {line}", style="bold red")
    if not wrong:
        _console.print("✓ every expected event came, and no other", style="bold green")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
