"""Delivery over a bad network and from a full disk: late, but whole and in order."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import pytest
from prometheus_client import CollectorRegistry

from sample_streams.broker import Broker
from streammon.backoff import Backoff
from streammon.bus import Producer
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.envelope import Envelope
from streammon.deliver.evidence_config import EvidenceConfig
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import PumpState
from streammon.errors import SpoolError
from streammon.fleet.commit import Committer
from streammon.judge.policy import Policy
from streammon.metrics import Metrics
from tests.faults.proxy import FaultProxy
from tests.integration.ingesting import until
from tests.integration.test_delivery import ce_id, envelopes, event, first_appearances, received
from tests.integration.watching import KAFKA_SOCKETS
from tests.needs import need

WAIT_S = 40.0
DELAY_S = 0.2
RESET_EVERY = 20
DISK_BYTES = 64 << 20

pytestmark = KAFKA_SOCKETS


class BadNetwork(FaultProxy):
    """What a broker answers comes 200 ms late, and one answer in twenty breaks off in the middle, with a reset.

    Clients go on to where a broker says that it is, so what it says is changed to the proxy's own port.
    """

    def __init__(self, to_port: int) -> None:
        self.answers = 0
        super().__init__(to_port)
        self._broker, self._here = (b"127.0.0.1" + struct.pack(">i", port) for port in (to_port, self.port))

    def _send(self, near: socket.socket, chunk: bytes) -> None:
        self._stop.wait(DELAY_S)
        self.answers += 1
        if self.answers % RESET_EVERY == 0:
            self.cut()
        super()._send(near, chunk.replace(self._broker, self._here))


@contextmanager
def delivering(outbox: Outbox, bootstrap: str) -> Iterator[Deliverer]:
    sink = KafkaSink(Producer(bootstrap, timeout_s=5.0))
    deliverer = Deliverer(outbox, sink, backoff=Backoff(first_s=0.05, cap_s=0.2))
    deliverer.start()
    try:
        yield deliverer
    finally:
        assert deliverer.close()


def assert_all_in_order(bootstrap: str, expected: list[Envelope]) -> int:
    """Each room's events are there in order, what came twice with the same id and content. How many came in all."""
    messages = received(bootstrap, expected[-1].event_id)
    rooms: dict[bytes, list[int]] = {}
    for number, envelope in enumerate(expected, 1):
        rooms.setdefault(envelope.key.encode(), []).append(number)
    assert first_appearances(messages) == rooms
    sent = {(envelope.event_id, envelope.value) for envelope in expected}
    assert {(ce_id(message), message.value) for message in messages} == sent
    return len(messages)


def test_a_slow_network_that_breaks_connections_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "spool.db")
    outbox.register_sinks(["kafka"])
    sealed = envelopes(1, 400, rooms=1)
    took_s = []
    with (
        closing(outbox),
        BadNetwork(int(broker.bootstrap.rpartition(":")[2])) as network,
        delivering(outbox, f"127.0.0.1:{network.port}") as deliverer,
    ):
        for envelope in sealed:
            started_s = time.monotonic()
            outbox.commit([envelope])
            took_s.append(time.monotonic() - started_s)
            time.sleep(0.025)
        assert deliverer.flush(WAIT_S)

    assert network.answers > 2 * RESET_EVERY
    assert median(took_s) < DELAY_S / 4, "what is judged waited for the network"
    assert_all_in_order(broker.bootstrap, sealed)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    need("a disk that is full", None if os.geteuid() == 0 else "only root may mount a small one")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    need("a disk that is full", mounted.stderr.strip() if mounted.returncode else None)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def no_policy(room_id: str) -> Policy:
    raise AssertionError(f"events of {room_id}'s stream need no policy")


def fill(disk: Path) -> Path:
    """Take all the space that is left; returns the file to delete."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return filler


def test_with_a_full_disk_judging_waits_and_goes_on_when_there_is_space(broker: Broker, small_disk: Path) -> None:
    outbox = Outbox(small_disk / "spool.db")
    outbox.register_sinks(["kafka"])
    committer = Committer(outbox, EvidenceConfig(), no_policy, Metrics(CollectorRegistry()))
    events = [event(number, "room") for number in range(1, 301)]
    running = threading.Event()

    def judge(first: int, last: int) -> None:
        for judged in events[first:last]:
            committer.commit([judged], None, running)

    judging = threading.Thread(target=judge, args=(50, 300))
    with closing(outbox):
        judge(0, 50)
        filler = fill(small_disk)
        # What is delivered now cannot be noted, and is delivered again later.
        with delivering(outbox, broker.bootstrap) as deliverer:
            judging.start()
            until(lambda: None not in (committer.blocked_by, deliverer.status.reason))
            reasons = [committer.blocked_by or "", deliverer.status.reason or ""]
            assert judging.is_alive()
            filler.unlink()
            judging.join(WAIT_S)
            assert deliverer.flush(WAIT_S)
            status = deliverer.status

    assert all("full: free space on its disk" in reason for reason in reasons)
    assert (committer.blocked_by, status.state) == (None, PumpState.DELIVERING)
    came = assert_all_in_order(broker.bootstrap, [Envelope.of(judged) for judged in events])
    assert came >= len(events) + 50


def commit_until_full(outbox: Outbox, committed: list[Envelope]) -> None:
    while True:
        sealed = envelopes(len(committed) + 1, len(committed) + 1)[0]
        outbox.commit([replace(sealed, value=sealed.value + b" " * 200_000)])
        committed.append(sealed)


def test_a_disk_full_of_what_a_sink_did_not_take_is_freed_when_it_does(broker: Broker, small_disk: Path) -> None:
    outbox = Outbox(small_disk / "spool.db")
    outbox.register_sinks(["kafka"])
    broker.stop()
    committed: list[Envelope] = []
    with closing(outbox):
        fill_up = partial(commit_until_full, outbox, committed)
        with pytest.raises(SpoolError, match="free space"):
            fill_up()
        broker.restart()
        sink = KafkaSink(Producer(broker.bootstrap))
        delivering = Deliverer(outbox, sink, backoff=Backoff(first_s=0.05, cap_s=0.2))
        delivering.start()

        assert delivering.flush(WAIT_S)
        outbox.commit(envelopes(1, 1))
        assert delivering.close()
    assert len(committed) > 50
