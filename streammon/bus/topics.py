"""Makes topics, and says what those that are there already have otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from streammon.bus.connection import PLAIN, REQUEST_S, Security, connect, milliseconds, translated
from streammon.errors import DeliveryError

_POLICY = "cleanup.policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What a topic should be. `partitions` and `replication` None leave it to the broker.

    Compacted: of each key the last message is kept for ever. Otherwise messages go by the broker's retention.
    """

    name: str
    partitions: int | None = None
    replication: int | None = None
    compacted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicReport:
    """What became of a wish for a topic: made now, or there already, perhaps with `differences`, one phrase each."""

    name: str
    created: bool
    differences: tuple[str, ...] = ()


def create_topics(
    bootstrap: str, topics: Sequence[Topic], *, client_id: str = "streammon", security: Security = PLAIN
) -> list[TopicReport]:
    """Make what is missing; leave what is there as it is. Raises DeliveryError."""
    with _admin(bootstrap, client_id, security) as admin:
        there = set(admin.list_topics())
        return [
            TopicReport(name=topic.name, created=False, differences=_differences(admin, topic))
            if topic.name in there or not _create(admin, bootstrap, topic)
            else TopicReport(name=topic.name, created=True)
            for topic in topics
        ]


def create_missing(bootstrap: str, client_id: str, security: Security, names: Iterable[str]) -> None:
    """Make those that are missing as the broker would have them. Raises DeliveryError."""
    with _admin(bootstrap, client_id, security) as admin:
        for name in sorted(set(names) - set(admin.list_topics())):
            _create(admin, bootstrap, Topic(name=name))


def _create(admin: Any, bootstrap: str, topic: Topic) -> bool:
    """False where somebody else was faster."""
    wanted: dict[str, Any] = {"configs": {_POLICY: "compact"} if topic.compacted else {}}
    if topic.partitions is not None:
        wanted["num_partitions"] = topic.partitions
    if topic.replication is not None:
        wanted["replication_factor"] = topic.replication
    try:
        admin.create_topics({topic.name: wanted}, timeout_ms=milliseconds(REQUEST_S))
    except TopicAlreadyExistsError:
        return False
    except KafkaError as error:
        reason = f"topic {topic.name} is missing and cannot be created ({type(error).__name__}): create it"
        raise DeliveryError(f"kafka {bootstrap}: {reason}") from error
    return True


def _differences(admin: Any, topic: Topic) -> tuple[str, ...]:
    partitions = admin.describe_topics([topic.name])[0]["partitions"]
    replicas = min((len(partition["replica_nodes"]) for partition in partitions), default=0)
    compacted = "compact" in _policy(admin, topic.name)
    found = []
    if topic.partitions is not None and len(partitions) != topic.partitions:
        found.append(f"{len(partitions)} partitions, not {topic.partitions}")
    if topic.replication is not None and replicas != topic.replication:
        found.append(f"{replicas} replicas, not {topic.replication}")
    if compacted != topic.compacted:
        found.append("compacted, should not be" if compacted else "not compacted, should be")
    return tuple(found)


def _policy(admin: Any, name: str) -> str:
    resource = ConfigResource(ConfigResourceType.TOPIC, name)  # type: ignore[no-untyped-call]
    described = admin.describe_configs([resource], config_filter="all")
    return str(described["topic"][name].get(_POLICY, {}).get("value"))


@contextmanager
def _admin(bootstrap: str, client_id: str, security: Security) -> Iterator[Any]:
    options = {"client_id": client_id, "request_timeout_ms": milliseconds(REQUEST_S)}
    client = connect(KafkaAdminClient, bootstrap, security, **options)
    try:
        with translated(bootstrap):
            yield client
    finally:
        client.close()
