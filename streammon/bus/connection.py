"""How brokers are reached: plain, by TLS, with a password. Gives connected clients of kafka-python, or says why not."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from kafka.cluster import collect_hosts
from kafka.errors import KafkaError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

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
    refusals: list[_Refusal] = []

    def network(**kwargs: Any) -> Any:
        net = NetworkSelector(**kwargs)  # type: ignore[no-untyped-call]
        manager = _Connections(net, refusals, **kwargs)
        networks.append(KafkaNetClient(net, manager, **kwargs))  # type: ignore[no-untyped-call]
        return networks[-1]

    options |= {"kafka_client": network, "bootstrap_timeout_ms": milliseconds(CONNECT_S)}
    options |= {"reconnect_backoff_max_ms": 1000, "ssl_context": tls, **security.options()}
    try:
        return client_class(bootstrap_servers=bootstrap, **options)
    except KafkaError as error:
        for opened in networks:  # a client that fails in its constructor leaves its sockets and thread behind
            opened.close()
        raise DeliveryError(f"kafka {bootstrap}: {_why(security, refusals, error)}") from error


class _Refusal(IntEnum):
    """What a broker made of our log-in; what tells most comes first."""

    UNKNOWN_MECHANISM = 0
    REFUSED = 1
    HUNG_UP = 2


_TOLD = {
    _Refusal.UNKNOWN_MECHANISM: "knows no {mechanism}: check kafka.sasl.mechanism",
    _Refusal.REFUSED: "refuses user {username} by {mechanism}: check kafka.sasl",
    _Refusal.HUNG_UP: "hangs up when user {username} logs in by {mechanism}: check kafka.sasl",
}


class _Connections(KafkaConnectionManager):
    """kafka-python's, and what brokers made of our log-in: of itself it only says that it ran out of time."""

    def __init__(self, net: Any, refusals: list[_Refusal], /, **options: Any) -> None:
        super().__init__(net, **options)  # type: ignore[no-untyped-call]
        self._refusals = refusals

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """As it was; notes why the connection is not made, if it is not."""
        connection = super().get_connection(*args, **options)  # type: ignore[no-untyped-call]
        connection.init_future.add_errback(lambda error: self._note(connection, error))
        return connection

    def _note(self, connection: Any, error: Exception) -> None:
        if isinstance(error, UnsupportedSaslMechanismError):
            self._refusals.append(_Refusal.UNKNOWN_MECHANISM)
        elif isinstance(error, SaslAuthenticationFailedError):
            self._refusals.append(_Refusal.REFUSED)
        elif connection.parser is not None and connection.broker_version is not None:
            # It spoke Kafka with us, and hung up before we were in. Apache Kafka does so right behind its refusal, and
            # kafka-python 3.0.12 drops what it has read when it finds the connection closed.
            self._refusals.append(_Refusal.HUNG_UP)


def _why(security: Security, refusals: Sequence[_Refusal], error: KafkaError) -> str:
    """What to tell of a client that could not be made."""
    if security.mechanism is None or not refusals:
        return f"it answers, but not to {security.protocol} ({error})"
    said = _TOLD[min(refusals)].format(username=security.username, mechanism=security.mechanism)
    return f"the broker {said}"


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
