"""`streammon topics create` and `streammon events tail`, as commands, on a real broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sample_streams.broker import Broker
from streammon.bus import Producer
from streammon.bus.topics import Topic, TopicReport, create_topics
from streammon.deliver.envelope import Envelope
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.topics import TOPICS
from streammon.errors import DeliveryError
from tests.integration.watching import KAFKA_SOCKETS
from tests.unit.test_deliver_envelope import STREAM, VIOLATION

END_S = 30.0
STREAMMON = (sys.executable, "-c", "from streammon.cli import main; main()")

pytestmark = KAFKA_SOCKETS


def streammon(*args: str) -> subprocess.CompletedProcess[str]:
    command = [*STREAMMON, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=END_S, check=False)


@contextmanager
def tailing(*args: str) -> Iterator[subprocess.Popen[str]]:
    command = [*STREAMMON, "events", "tail", *args]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            assert "Ctrl-C ends" in process.stderr.readline()
            yield process
        finally:
            process.kill()


def publish(broker: Broker, *envelopes: Envelope) -> None:
    with closing(KafkaSink(Producer(broker.bootstrap))) as sink:
        assert sink.send(envelopes) == len(envelopes)


def violation(room_id: str, label: str) -> Envelope:
    return Envelope.of(replace(VIOLATION, room_id=room_id, label=label, incident_id=f"{room_id}-{label}"))


def test_topics_are_made_once_and_differences_told(broker: Broker) -> None:
    first = streammon("topics", "create", "--kafka", broker.bootstrap, "--partitions", "3")
    again = streammon("topics", "create", "--kafka", broker.bootstrap, "--partitions", "3")
    other = streammon("topics", "create", "--kafka", broker.bootstrap, "--partitions", "4")

    assert [result.returncode for result in (first, again, other)] == [0, 0, 0], first.stderr
    assert first.stdout.splitlines() == [f"{name:<22}  created" for name in TOPICS]
    assert again.stdout.splitlines() == [f"{name:<22}  there already" for name in TOPICS]
    assert other.stdout.splitlines() == [f"{name:<22}  there already: 3 partitions, not 4" for name in TOPICS]


def test_each_difference_is_named(broker: Broker) -> None:
    create_topics(broker.bootstrap, [Topic(name="a", partitions=2), Topic(name="b", compacted=True)])
    wanted = [
        Topic(name="a", partitions=2, replication=1, compacted=True),
        Topic(name="b", partitions=2, replication=3),
        Topic(name="c"),
    ]

    reports = create_topics(broker.bootstrap, wanted)

    b_differs = ("1 partitions, not 2", "1 replicas, not 3", "compacted, should not be")
    assert reports == [
        TopicReport(name="a", created=False, differences=("not compacted, should be",)),
        TopicReport(name="b", created=False, differences=b_differs),
        TopicReport(name="c", created=True),
    ]


def test_what_the_broker_cannot_do_is_told(broker: Broker) -> None:
    with pytest.raises(DeliveryError, match=r"topic a is missing and cannot be created \(InvalidReplicationFactor"):
        create_topics(broker.bootstrap, [Topic(name="a", replication=3)])


def test_events_are_shown_as_they_come_until_ctrl_c(broker: Broker) -> None:
    publish(broker, violation("r1", "advertising.qr_code"), Envelope.of(STREAM))
    with tailing("--kafka", broker.bootstrap, "--room", "r1", "--label", "advertising") as tail:
        assert tail.stdout is not None
        publish(
            broker,
            violation("r2", "advertising.qr_code"),
            violation("r1", "politics.flag"),
            violation("r1", "advertising.contact"),
        )
        shown = tail.stdout.readline()
        tail.send_signal(signal.SIGINT)
        rest, _ = tail.communicate(timeout=END_S)

    assert "advertising.contact" in shown
    assert "r1" in shown
    assert (rest, tail.returncode) == ("", 0)


def test_events_of_some_time_ago_are_shown_as_json(broker: Broker, tmp_path: Path) -> None:
    sent = [violation("r1", "advertising.qr_code"), Envelope.of(STREAM)]
    publish(broker, *sent)
    config = tmp_path / "streammon.yaml"
    config.write_text(f"version: 1\nkafka: {{bootstrap: '{broker.bootstrap}'}}\n", encoding="utf-8")
    with tailing("-c", str(config), "--since", "10m", "--json") as tail:
        assert tail.stdout is not None
        shown = [json.loads(tail.stdout.readline()) for _ in sent]
        tail.send_signal(signal.SIGTERM)
        tail.wait(END_S)

    assert sorted(event["id"] for event in shown) == sorted(envelope.event_id for envelope in sent)
    assert tail.returncode == 0


@pytest.mark.parametrize(
    ("args", "status", "reason"),
    [
        (("events", "tail"), 2, "--kafka"),
        (("events", "tail", "--kafka", "nowhere"), 2, "HOST:PORT"),
        (("events", "tail", "--kafka", "127.0.0.1:1", "--since", "soon"), 2, "duration"),
        (("events", "tail", "--kafka", "127.0.0.1:1"), 1, "refused"),
        (("topics", "create", "--kafka", "127.0.0.1:1"), 1, "refused"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(args: tuple[str, ...], status: int, reason: str) -> None:
    result = streammon(*args)

    assert result.returncode == status
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_without_topics_the_cure_is_told(broker: Broker) -> None:
    result = streammon("events", "tail", "--kafka", broker.bootstrap)

    assert result.returncode == 1
    assert "no topic streammon.streams, streammon.violations" in result.stderr
