"""Runs the `streammon watch` command as an operator does, and reads what it published."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

from streammon.bus import Consumer, Received
from streammon.events import StreamEvent, ViolationEvent
from tests.needs import need

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "sample_streams" / "room.mp4"
MODELS = ROOT / "models"

KAFKA_SOCKETS = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected_sockets"),
]
"""For tests in which kafka-python is a client: it leaves sockets to the collector."""

_STOP_WITHIN_S = 30.0
_INGEST = b"streammon.ingest.rooms.process"
# A room's last event on one topic may come before its last on the other.
_OTHER_TOPIC_S = 1.5


def need_weights() -> None:
    """Skips where the weights have not been pulled; in CI that is a failure."""
    need("weights", None if list(MODELS.glob("*.onnx")) else "run `make models`")


class Watching:
    """A running `streammon watch`. What it says goes to a file in `folder`. A context manager: killed at its end."""

    def __init__(self, folder: Path, url: str, room: str, *options: str) -> None:
        self._log = folder / f"{room}.log"
        self.state = folder / f"{room}-state"
        command = [str(Path(sys.executable).with_name("streammon")), "watch", url, "--room", room]
        command += ["--allow-network", "127.0.0.0/8", "--models", str(MODELS), "--state", str(self.state), *options]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    @property
    def said(self) -> str:
        """All that it has printed so far, on both channels."""
        return self._log.read_text(encoding="utf-8")

    def wait_until_said(self, text: str, timeout_s: float) -> None:
        """Fails where `text` is not printed within `timeout_s`."""
        until_s = time.monotonic() + timeout_s
        while text not in self.said:
            if time.monotonic() > until_s or self._process.poll() is not None:
                pytest.fail(f"{text!r} was not said; what was:\n{self.said}")
            time.sleep(0.05)

    def ingest_pid(self) -> int:
        """The id of its ingest process."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        children = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
        found = [pid for pid in children if _INGEST in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(found) == 1
        return found[0]

    def interrupt(self) -> int:
        """Ctrl-C. Returns the exit status."""
        self._process.send_signal(signal.SIGINT)
        return self.wait(_STOP_WITHIN_S)

    def wait(self, timeout_s: float) -> int:
        """The exit status, once it has ended by itself."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {timeout_s} s; it said:\n{self.said}")

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory is short."""
        self._process.kill()
        self._process.wait(_STOP_WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """All events of some rooms, in the order in which they came."""

    violations: list[ViolationEvent]
    streams: list[StreamEvent]
    raw: list[dict[str, Any]]
    ids: list[str]

    def of(self, room: str) -> list[ViolationEvent]:
        """One room's violations."""
        return [event for event in self.violations if event.room_id == room]


def consume(bootstrap: str, rooms: Sequence[str], seconds: float) -> Consumed:
    """Reads both topics from their beginning until the last event of every room has come."""
    consumed = Consumed(violations=[], streams=[], raw=[], ids=[])
    consumer = Consumer(bootstrap, ["streammon.violations", "streammon.streams"])
    left = set(rooms)
    try:
        for message in consumer.messages(seconds):
            _take(message, rooms, consumed)
            left -= {event.room_id for event in consumed.streams if event.state.value in {"stopped", "ended"}}
            if not left:
                break
        for message in consumer.messages(_OTHER_TOPIC_S):
            _take(message, rooms, consumed)
    finally:
        consumer.close()
    return consumed


def _take(message: Received, rooms: Sequence[str], consumed: Consumed) -> None:
    if message.key.decode() not in rooms or message.value is None:
        return
    consumed.ids.append(dict(message.headers)["ce_id"].decode())
    if message.topic == "streammon.violations":
        consumed.raw.append(msgspec.json.decode(message.value))
        consumed.violations.append(msgspec.json.decode(message.value, type=ViolationEvent))
    else:
        consumed.streams.append(msgspec.json.decode(message.value, type=StreamEvent))
