"""Delivery to Apache Kafka itself: who is let in, what is told, and that nothing is lost while it is away."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from streammon.backoff import Backoff
from streammon.bus import Consumer, Message, Producer, Published, Received, Security
from streammon.bus.topics import Topic, create_topics
from streammon.deliver.dead_letters import DeadLetters
from streammon.deliver.deliverer import Deliverer
from streammon.deliver.envelope import Envelope
from streammon.deliver.kafka import KafkaSink
from streammon.deliver.outbox import Outbox
from streammon.deliver.pump import PumpState
from streammon.deliver.topics import TOPICS
from streammon.errors import DeliveryError
from tests.integration.test_delivery import ce_id, envelopes, first_appearances
from tests.integration.test_http_tls import Authority
from tests.kafka.apache_kafka import ApacheKafka, Login, missing_kafka
from tests.needs import need

FLUSH_S = 40.0
TOLD_S = 10.0
USER, PASSWORD = "monitor", "geheim"
TAKES_BYTES = 1_048_588
"""The default of message.max.bytes."""

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed <s"), pytest.mark.usefixtures("collected_sockets")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def kafka(authority: Authority) -> Iterator[ApacheKafka]:
    need("Apache Kafka", missing_kafka())
    authority.server_context(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = authority.ca_file.with_name("server.pem")
    with ApacheKafka(Login(username=USER, password=PASSWORD, certificate=certificate)) as running:
        yield running


@pytest.fixture
def topic(kafka: ApacheKafka, request: pytest.FixtureRequest) -> str:
    """A topic of this test's own, with three partitions."""
    name = f"t.{request.node.name}".replace("[", ".").replace("]", "")
    create_topics(kafka.bootstrap, [Topic(name=name, partitions=3)])
    return name


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "spool.db")
    opened.register_sinks(["kafka"])
    yield opened
    opened.close()


def user(authority: Authority, mechanism: str, password: str = PASSWORD) -> Security:
    return Security(
        protocol="SASL_SSL", mechanism=mechanism, username=USER, password=password, ca_file=authority.ca_file
    )


@contextmanager
def delivering(outbox: Outbox, kafka: ApacheKafka) -> Iterator[Deliverer]:
    sink = KafkaSink(Producer(kafka.bootstrap, timeout_s=5.0))
    deliverer = Deliverer(outbox, sink, backoff=Backoff(first_s=0.05, cap_s=0.5))
    deliverer.start()
    try:
        yield deliverer
    finally:
        assert deliverer.close()


def sealed(topic: str, first: int, last: int) -> list[Envelope]:
    """Events of three rooms, numbered so, that go to this topic."""
    return [replace(envelope, topic=topic) for envelope in envelopes(first, last)]


def received(kafka: ApacheKafka, topic: str, expected: Sequence[Envelope]) -> list[Received]:
    """All messages of a topic, from its beginning until each expected event has come."""
    left = {envelope.event_id for envelope in expected}
    messages = []
    with closing(Consumer(kafka.bootstrap, [topic])) as consumer:
        for message in consumer.messages(FLUSH_S):
            messages.append(message)
            left.discard(ce_id(message))
            if not left:
                break
    return messages


def assert_all_in_order(messages: Sequence[Received], expected: Sequence[Envelope]) -> None:
    """Every event is there; each room's in order of commit; what came twice came with the same id and content."""
    rooms: dict[bytes, list[int]] = {}
    for envelope in expected:
        rooms.setdefault(envelope.key.encode(), []).append(json.loads(envelope.value)["seq"])
    assert first_appearances(messages) == rooms
    assert {(ce_id(message), message.value) for message in messages} == {
        (envelope.event_id, envelope.value) for envelope in expected
    }


def commit_slowly(outbox: Outbox, events: Sequence[Envelope]) -> threading.Thread:
    """Commits one after the other, a hundred a second, on a thread that has been started."""

    def commit_all() -> None:
        for envelope in events:
            outbox.commit([envelope])
            time.sleep(0.01)

    thread = threading.Thread(target=commit_all)
    thread.start()
    return thread


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_user_is_let_in_by_tls(kafka: ApacheKafka, authority: Authority, topic: str, mechanism: str) -> None:
    security = user(authority, mechanism)
    with closing(Producer(kafka.secure, security=security)) as producer:
        assert producer.publish([Message(topic=topic, key=b"k", value=b"v")]) == Published(count=1)
    with closing(Consumer(kafka.secure, [topic], security=security)) as consumer:
        assert next(consumer.messages(FLUSH_S)).value == b"v"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_another_password_is_refused_in_time_and_not_shown(
    kafka: ApacheKafka, authority: Authority, mechanism: str
) -> None:
    producer = Producer(kafka.secure, security=user(authority, mechanism, "erraten"))
    started_s = time.monotonic()
    with (
        closing(producer),
        pytest.raises(
            DeliveryError, match=rf"the broker (refuses|hangs up when) user {USER} .*by {mechanism}: check kafka\.sasl"
        ) as raised,
    ):
        producer.publish([Message(topic="t", key=b"k", value=b"v")])

    assert time.monotonic() - started_s < TOLD_S
    assert "erraten" not in str(raised.value)


def test_a_broker_that_another_authority_vouches_for_is_not_believed(kafka: ApacheKafka, tmp_path: Path) -> None:
    producer = Producer(kafka.secure, security=user(Authority(tmp_path), "PLAIN"))
    with closing(producer), pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
        producer.publish([Message(topic="t", key=b"k", value=b"v")])


def streammon_topics(config: Path, partitions: int) -> list[str]:
    """What `streammon topics create` prints, line by line."""
    command = [sys.executable, "-c", "from streammon.cli import main; main()", "topics", "create", "-c", str(config)]
    command += ["--partitions", str(partitions)]
    environment = {**os.environ, "KAFKA_PASSWORD": PASSWORD}
    done = subprocess.run(command, capture_output=True, text=True, timeout=FLUSH_S, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def delete_topics(kafka: ApacheKafka, names: Sequence[str]) -> None:
    """Delete those of them that there are."""
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:  # type: ignore[no-untyped-call]
        there = set(admin.list_topics()) & set(names)  # type: ignore[no-untyped-call]
        if there:
            admin.delete_topics(sorted(there))  # type: ignore[no-untyped-call]


def cleanup_policies(kafka: ApacheKafka) -> dict[str, str]:
    """What the broker itself says of our topics."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in TOPICS]  # type: ignore[no-untyped-call]
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:  # type: ignore[no-untyped-call]
        described = admin.describe_configs(resources, config_filter="all")["topic"]  # type: ignore[no-untyped-call]
    return {name: described[name]["cleanup.policy"]["value"] for name in TOPICS}


def test_topics_are_made_as_configured_once_and_differences_told(
    kafka: ApacheKafka, authority: Authority, tmp_path: Path
) -> None:
    delete_topics(kafka, list(TOPICS))
    config = tmp_path / "streammon.yaml"
    config.write_text(
        f"version: 1\nkafka:\n  bootstrap: {kafka.secure}\n  security_protocol: SASL_SSL\n"
        f"  sasl: {{mechanism: SCRAM-SHA-512, username: {USER}, password: {{env: KAFKA_PASSWORD}}}}\n"
        f"  tls: {{ca_file: {authority.ca_file}}}\n",
        encoding="utf-8",
    )

    assert streammon_topics(config, 3) == [f"{name:<22}  created" for name in TOPICS]
    assert streammon_topics(config, 3) == [f"{name:<22}  there already" for name in TOPICS]
    assert streammon_topics(config, 4) == [f"{name:<22}  there already: 3 partitions, not 4" for name in TOPICS]
    assert cleanup_policies(kafka) == {name: "compact" if compacted else "delete" for name, compacted in TOPICS.items()}


def test_what_is_too_large_becomes_a_dead_letter_and_the_next_arrives(
    kafka: ApacheKafka, outbox: Outbox, topic: str
) -> None:
    events = sealed(topic, 1, 5)
    # What does not compress to less than half, as hex: brokers count what is sent.
    poison = replace(events[2], value=b'{"x":"%s"}' % os.urandom(TAKES_BYTES + 100_000).hex().encode())
    producer = Producer(kafka.bootstrap, message_bytes=4 * TAKES_BYTES)
    deliverer = Deliverer(outbox, KafkaSink(producer), dead_letters=DeadLetters(KafkaSink(producer)))
    outbox.commit([*events[:2], poison, *events[3:]])
    deliverer.start()

    assert deliverer.flush(FLUSH_S)
    assert deliverer.close()
    good = [*events[:2], *events[3:]]
    assert_all_in_order(received(kafka, topic, good), good)
    letter = replace(poison, event_id=f"{poison.event_id}:kafka")
    told = json.loads(received(kafka, "streammon.dlq", [letter])[-1].value or b"")
    assert (told["event_id"], told["reason"], told["topic"]) == (poison.event_id, "MessageSizeTooLarge", topic)
    assert (told["size_bytes"], deliverer.refused) == (len(poison.value), 1)


def test_a_topic_that_is_deleted_is_made_again_and_gets_all_that_follows(
    kafka: ApacheKafka, outbox: Outbox, topic: str
) -> None:
    events = sealed(topic, 1, 200)
    with delivering(outbox, kafka) as deliverer:
        outbox.commit(events[:100])
        assert deliverer.flush(FLUSH_S)
        delete_topics(kafka, [topic])
        outbox.commit(events[100:])
        assert deliverer.flush(FLUSH_S)

    assert_all_in_order(received(kafka, topic, events[100:]), events[100:])


def test_a_broker_killed_in_mid_run_misses_nothing(kafka: ApacheKafka, outbox: Outbox, topic: str) -> None:
    events = sealed(topic, 1, 400)
    with delivering(outbox, kafka) as deliverer:
        committing = commit_slowly(outbox, events)
        assert outbox.wait_delivered("kafka", FLUSH_S)
        time.sleep(1.0)
        kafka.kill()
        assert committing.is_alive()
        kafka.restart()
        committing.join(FLUSH_S)
        assert deliverer.flush(FLUSH_S)

    assert_all_in_order(received(kafka, topic, events), events)


def test_a_broker_that_is_down_at_first_and_again_later_misses_nothing(
    kafka: ApacheKafka, outbox: Outbox, topic: str
) -> None:
    events = sealed(topic, 1, 600)
    kafka.stop()
    with delivering(outbox, kafka) as deliverer:
        outbox.commit(events[:200])
        assert not deliverer.flush(0.5)
        status = deliverer.status
        kafka.restart()
        committing = commit_slowly(outbox, events[200:])
        assert deliverer.flush(FLUSH_S)
        kafka.stop()
        assert committing.is_alive()
        kafka.restart()
        committing.join(FLUSH_S)
        assert deliverer.flush(FLUSH_S)

    assert status.state is PumpState.WAITING
    assert "refused" in (status.reason or "")
    assert_all_in_order(received(kafka, topic, events), events)
