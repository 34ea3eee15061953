"""What is published together fits one batch of the client, in order: that is what keeps messages from overtaking."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streammon.bus import Message, Producer, Published, Security
from streammon.bus.message import is_topic
from streammon.bus.producer import BATCH_BYTES, PUBLISH_BYTES, _chunks
from streammon.deliver.config import KafkaConfig
from streammon.deliver.kafka import kafka_producer, kafka_security
from streammon.errors import ConfigError, DeliveryError


@given(st.lists(st.integers(0, PUBLISH_BYTES + 10), max_size=20))
def test_chunks_keep_the_order_and_fit_a_batch(sizes_bytes: list[int]) -> None:
    payload = bytes(PUBLISH_BYTES + 10)
    messages = [Message(topic="t", key=b"%d" % n, value=payload[:size]) for n, size in enumerate(sizes_bytes)]
    chunks = list(_chunks(messages))

    assert [message for chunk in chunks for message in chunk] == messages
    assert all(sum(message.size_bytes for message in chunk) <= PUBLISH_BYTES or len(chunk) == 1 for chunk in chunks)
    assert PUBLISH_BYTES < BATCH_BYTES


def test_a_producer_needs_no_broker_until_it_is_used() -> None:
    producer = Producer("127.0.0.1:1")
    producer.close()
    producer.close()


def test_the_clients_own_log_is_kept_shut() -> None:
    with pytest.raises(DeliveryError, match=r"^kafka 127\.0\.0\.1:1: \[Errno \d+\] Connection refused$"):
        Producer("127.0.0.1:1").publish([Message(topic="t", key=b"k", value=b"v")])

    assert not logging.getLogger("kafka.producer.kafka").isEnabledFor(logging.ERROR)


def test_nothing_to_publish_needs_no_broker() -> None:
    assert Producer("127.0.0.1:1").publish([]) == Published(count=0)


def test_a_compression_without_its_package_is_told_at_once() -> None:
    with pytest.raises(DeliveryError, match="pip install zstandard"):
        Producer("127.0.0.1:1", compression="zstd")


@pytest.mark.parametrize(("name", "legal"), [("a.b-c_9", True), ("", False), (".", False), ("..", False), ("ä", False)])
def test_topic_names_are_judged_as_brokers_do(name: str, legal: bool) -> None:
    assert is_topic(name) is legal
    assert not is_topic(name + "x" * 250)


def sasl(password: dict[str, str]) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {
            "bootstrap": "127.0.0.1:9092",
            "security_protocol": "SASL_SSL",
            "sasl": {"mechanism": "SCRAM-SHA-512", "username": "monitor", "password": password},
            "tls": {"ca_file": "ca.pem", "cert_file": "me.pem", "key_file": "me.key"},
        }
    )


def test_what_is_configured_is_what_the_client_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "geheim")
    (tmp_path / "password").write_text("geheim\n", encoding="utf-8")
    by_env = kafka_security(sasl({"env": "KAFKA_PASSWORD"}))

    assert kafka_security(sasl({"file": str(tmp_path / "password")})) == by_env
    assert by_env.options() == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "monitor",
        "sasl_plain_password": "geheim",
    }
    assert (by_env.ca_file, by_env.cert_file, by_env.key_file) == (Path("ca.pem"), Path("me.pem"), Path("me.key"))


def test_a_password_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "geheim")
    config = sasl({"env": "KAFKA_PASSWORD"})

    assert "geheim" not in repr(kafka_security(config)) + repr(kafka_producer(KafkaConfig(), "127.0.0.1:1")) + repr(
        config
    )


def test_a_password_that_is_not_there_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    for password in ({"env": "STREAMMON_NO_SUCH_VARIABLE"}, {"file": str(tmp_path / "none")}):
        with pytest.raises(ConfigError, match=r"kafka\.sasl\.password"):
            kafka_security(sasl(password))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"security_protocol": "SASL_SSL"}, "belong together"),
        ({"tls": {"ca_file": "ca.pem"}}, "belong together"),
        (
            {"security_protocol": "SASL_SSL", "sasl": {"mechanism": "PLAIN", "username": "u", "password": "geheim"}},
            "Secret",
        ),
        (
            {"security_protocol": "SASL_SSL", "sasl": {"mechanism": "PLAIN", "username": "u", "password": {}}},
            "`file` or `env`",
        ),
        ({"compression": "snappy"}, "gzip"),
    ],
)
def test_what_does_not_fit_together_is_a_fault(given: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        KafkaConfig.model_validate(given)


def test_files_for_tls_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    producer = Producer("127.0.0.1:1", security=Security(protocol="SSL", ca_file=tmp_path / "none.pem"))

    with pytest.raises(DeliveryError, match="files for TLS"):
        producer.publish([Message(topic="t", key=b"k", value=b"v")])
