"""TLS and passwords on a real broker, behind a real TLS end with an authority made here."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from cryptography import x509

from sample_streams.broker import Broker
from sample_streams.child import ServerProcess
from streammon.bus import Consumer, Message, Producer, Published, Security
from streammon.errors import DeliveryError
from tests.integration.test_http_tls import Authority

WAIT_S = 30.0
INSIDE, OUTSIDE = b"127.0.0.2", b"127.0.0.1"
"""Where the broker is, and says it is, and where clients shall think it is: names of one length."""
PASSWORD = "geheim"  # noqa: S105 - of these tests

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed <s"), pytest.mark.usefixtures("collected_sockets")]


class TlsEnd:
    """Takes TLS connections on OUTSIDE, and passes them on to the same port of INSIDE, telling OUTSIDE's name."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._context = context
        self._port = port
        self._listener = socket.create_server((OUTSIDE.decode(), port))
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for opened in self._open:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            outer = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        inner = socket.create_connection((INSIDE.decode(), self._port))
        self._open += [outer, inner]
        threading.Thread(target=_pump, args=(outer, inner), daemon=True).start()
        _pump(inner, outer)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received.replace(INSIDE, OUTSIDE))
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_bootstrap(authority: Authority) -> Iterator[str]:
    spec = find_spec("noida_db")
    assert spec is not None
    assert spec.origin is not None
    binary = str(Path(spec.origin).with_name("noida-db"))
    with socket.create_server((INSIDE.decode(), 0)) as probe:
        port = probe.getsockname()[1]

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((INSIDE.decode(), port)) == 0

    def command(folder: Path) -> list[str]:
        return [binary, "start", "--only", "kafka", "--kafka-port", str(port), "--host", INSIDE.decode(),
                "--data-dir", str(folder / "kafka")]  # fmt: skip

    context = authority.server_context(x509.IPAddress(ipaddress.ip_address(OUTSIDE.decode())))
    with ServerProcess(command, listens, 15.0), closing(TlsEnd(port, context)):
        yield f"{OUTSIDE.decode()}:{port}"


def message() -> Message:
    return Message(topic="t", key=b"k", value=b"v")


def publish_and_read(bootstrap: str, security: Security) -> bytes | None:
    with closing(Producer(bootstrap, security=security)) as producer:
        producer.ensure_topics(["t"])
        assert producer.publish([message()]) == Published(count=1)
    with closing(Consumer(bootstrap, ["t"], security=security)) as consumer:
        return next(consumer.messages(WAIT_S)).value


def test_everything_goes_by_tls_with_a_private_authority(tls_bootstrap: str, authority: Authority) -> None:
    assert publish_and_read(tls_bootstrap, Security(protocol="SSL", ca_file=authority.ca_file)) == b"v"


def test_a_password_goes_by_tls(tls_bootstrap: str, authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    security = Security(
        protocol="SASL_SSL", mechanism="PLAIN", username="monitor", password=PASSWORD, ca_file=authority.ca_file
    )
    with caplog.at_level(logging.DEBUG):
        assert publish_and_read(tls_bootstrap, security) == b"v"

    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(security)


def test_a_certificate_of_nobody_known_is_told_at_once(tls_bootstrap: str) -> None:
    producer = Producer(tls_bootstrap, security=Security(protocol="SSL"))
    with closing(producer), pytest.raises(DeliveryError, match="CERTIFICATE_VERIFY_FAILED"):
        producer.publish([message()])


def test_a_password_that_is_refused_is_told_in_time_and_not_shown() -> None:
    security = Security(protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-256", username="monitor", password=PASSWORD)
    with Broker() as broker:  # it knows no SCRAM, and refuses
        producer = Producer(broker.bootstrap, security=security)
        with (
            closing(producer),
            pytest.raises(DeliveryError, match=r"the broker knows no SCRAM-SHA-256: check kafka\.sasl") as raised,
        ):
            producer.publish([message()])

    assert PASSWORD not in str(raised.value)
