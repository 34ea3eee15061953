"""How brokers are reached: plain, by TLS, with a password. Gives connected clients of kafka-python, or says why not."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka.cluster import collect_hosts
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from streammon.errors import DeliveryError

CONNECT_S = 3.0
REQUEST_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who brokers believe us to be, and whom we believe to be them.

    `protocol` and `mechanism` are named as Kafka names them. With TLS the broker's certificate must be given by the
    system's authorities, or those in `ca_file`; `cert_file` and `key_file` (PEM) are what we show in return.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """What a connection is wrapped in, None where it is plain. Raises OSError where a file cannot be used."""
        if not self.protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def options(self) -> dict[str, Any]:
        """kafka-python's, but for TLS."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.startswith("SASL"):
            options |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.username}
            options["sasl_plain_password"] = self.password
        return options


PLAIN = Security()


def connect(client_class: Callable[..., Any], bootstrap: str, security: Security, **options: Any) -> Any:
    """A connected client of one of kafka-python's classes. Raises DeliveryError, after a few seconds at most."""
    _quiet()
    try:
        tls = security.tls()
    except OSError as error:
        raise DeliveryError(f"kafka {bootstrap}: the files for TLS cannot be used: {error}") from error
    _knock(bootstrap, tls)
    networks: list[Any] = []

    def network(**kwargs: Any) -> Any:
        networks.append(KafkaNetClient(**kwargs))  # type: ignore[no-untyped-call]
        return networks[-1]

    options |= {"kafka_client": network, "bootstrap_timeout_ms": milliseconds(CONNECT_S)}
    options |= {"reconnect_backoff_max_ms": 1000, "ssl_context": tls, **security.options()}
    try:
        return client_class(bootstrap_servers=bootstrap, **options)
    except KafkaError as error:
        for opened in networks:  # a client that fails in its constructor leaves its sockets and thread behind
            opened.close()
        claim = " as that user, with that password" if security.mechanism is not None else ""
        reason = f"it answers, but not to {security.protocol}{claim} ({error})"
        raise DeliveryError(f"kafka {bootstrap}: {reason}") from error


@contextmanager
def translated(bootstrap: str) -> Iterator[None]:
    """kafka-python's errors become DeliveryErrors."""
    try:
        yield
    except KafkaError as error:
        raise DeliveryError(f"kafka {bootstrap}: {error}") from error


def milliseconds(seconds: float) -> int:
    """Whole ones: some go into the protocol as they are."""
    return round(seconds * 1000)


def _quiet() -> None:
    """Keep kafka-python's own log shut unless somebody set its level.

    It logs every attempt to reach a broker, and at debug the messages themselves; what matters of it is in the
    DeliveryErrors.
    """
    logger = logging.getLogger("kafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def _knock(bootstrap: str, tls: ssl.SSLContext | None) -> None:
    """Connect to any of the brokers, TLS included: says why at once, where kafka-python would only run out of time.

    Raises DeliveryError with the reason of the last one tried.
    """
    reason: OSError | None = None
    for host, port, _family in collect_hosts(bootstrap):  # type: ignore[no-untyped-call]
        try:
            with socket.create_connection((host, port), timeout=CONNECT_S) as plain:
                if tls is not None:
                    tls.wrap_socket(plain, server_hostname=host).close()
        except OSError as error:
            reason = error
        else:
            return
    raise DeliveryError(f"kafka {bootstrap}: {reason}") from reason
