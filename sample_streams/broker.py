"""A Kafka-protocol broker from PyPI's noida-db, as a child process on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from sample_streams.child import ServerProcess, free_port, listens
from streammon.errors import StreammonError


def _binary() -> Path:
    """The server itself: the package's console script would leave it behind when stopped."""
    spec = find_spec("noida_db")
    if spec is None or spec.origin is None:
        raise StreammonError("the embedded broker is not installed: pip install 'streammon[demo]'")
    return Path(spec.origin).with_name("noida-db")


def _answers(port: int) -> bool:
    """Whether a Kafka client gets an answer from `port`."""
    if not listens(port):
        return False
    try:
        admin: Any = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}")  # type: ignore[no-untyped-call]
        with closing(admin):
            admin.list_topics()
    except KafkaError:
        return False
    return True


class Broker(ServerProcess):
    """A running broker; `bootstrap` is what clients connect to. `kill()` loses the last unsaved records, `stop()`
    only what was acknowledged while it ended: wait for what must be kept.

    Raises StreammonError where the package is missing or the broker does not answer within 15 s.
    """

    def __init__(self) -> None:
        binary, port = _binary(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        super().__init__(
            lambda folder: [
                *(str(binary), "start", "--only", "kafka"),
                *("--kafka-port", str(port), "--data-dir", str(folder / "kafka")),
            ],
            ready=lambda: _answers(port),
            start_s=15.0,
        )


@contextmanager
def bootstrap_or_embedded() -> Iterator[str]:
    """The bootstrap address of the broker that KAFKA_BOOTSTRAP names, or where it is unset of an embedded one."""
    named = os.environ.get("KAFKA_BOOTSTRAP")
    if named:
        yield named
        return
    with Broker() as broker:
        yield broker.bootstrap
