"""TLS on real sockets, with authorities made here: who is believed, and who is not."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streammon.errors import SourceUnreachable
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.http_client import HttpClient, HttpTimes, tls_context
from streammon.ingest.source import SourceRequest
from tests.integration.scripted_http import Reply, ScriptedServer, redirect

LOOPBACK = AddressPolicy(allow=(ipaddress.ip_network("127.0.0.0/8"),))


class Authority:
    """A certificate authority, in `ca_file`, and the certificates that it gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        builder = self._builder(self._name, self._key.public_key(), timedelta(days=1))
        # What OpenSSL wants of an authority: that it says it is one, and may sign.
        usage = {"key_cert_sign": True, "crl_sign": True}
        no = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage |= dict.fromkeys((*no, "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        signed = builder.add_extension(x509.KeyUsage(**usage), critical=True).sign(self._key, hashes.SHA256())
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def server_context(self, *names: x509.GeneralName, lasts: timedelta = timedelta(days=1)) -> ssl.SSLContext:
        """What a server of these names shows."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key.public_key(), lasts)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        signed = builder.sign(self._key, hashes.SHA256())
        pem = self._folder / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta) -> x509.CertificateBuilder:
        began = datetime.now(UTC) - timedelta(days=2)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key)
        made = made.not_valid_before(began).not_valid_after(began + timedelta(days=2) + lasts)
        return made.serial_number(x509.random_serial_number())


LOCAL = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[ScriptedServer]:
    with ScriptedServer(tls=authority.server_context(LOCAL, x509.DNSName("room.test"))) as one:
        one.pages["/p"] = Reply(body=b"x" * 100_000)
        yield one


def get(url: str, ca_file: Path | None) -> bytes:
    times = HttpTimes(connect_s=5.0, read_s=5.0)
    tls = tls_context(None if ca_file is None else str(ca_file))
    with HttpClient(LOOPBACK, times, tls, Event(), SourceRequest(url=url, headers={})) as client:
        client.get(url, max_bytes=1 << 20, within_s=5.0)
        return client.get(url, max_bytes=1 << 20, within_s=5.0).body


def refusal(url: str, ca_file: Path | None) -> str:
    with pytest.raises(SourceUnreachable) as caught:
        get(url, ca_file)
    said = str(caught.value)
    assert not [part for part in ("127.0.0", "room.test", "other.test", "/p") if part in said], said
    return said


def test_a_private_authority_is_believed_where_it_is_configured(server: ScriptedServer, authority: Authority) -> None:
    assert get(server.url("/p"), authority.ca_file) == b"x" * 100_000
    assert server.connections == 1


def test_an_authority_that_is_not_known_is_not_believed(server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for ca_file in (None, Authority(tmp_path / "other").ca_file):
        assert "the server's certificate is not valid" in refusal(server.url("/p"), ca_file)
    assert server.asked == []


def test_the_certificate_is_held_against_the_name_and_not_the_address(
    server: ScriptedServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", server.port))])
    assert len(get(server.url("/p", "room.test"), authority.ca_file)) == 100_000
    assert server.asked[0].headers["host"] == f"room.test:{server.port}"
    assert "(Hostname mismatch)" in refusal(server.url("/p", "other.test"), authority.ca_file)
    with ScriptedServer("127.0.0.2", tls=authority.server_context(LOCAL)) as elsewhere:
        assert "(IP address mismatch)" in refusal(elsewhere.url("/p"), authority.ca_file)


def test_a_file_of_authorities_that_has_gone_is_an_error_of_the_stream(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match=r"`ingest.ca_file`") as caught:
        tls_context(str(tmp_path / "gone.pem"))
    assert "gone" not in str(caught.value)


def test_a_certificate_that_has_run_out_is_not_believed(authority: Authority) -> None:
    context = authority.server_context(LOCAL, lasts=-timedelta(days=1))
    with ScriptedServer(tls=context) as server:
        assert "expired" in refusal(server.url("/p"), authority.ca_file)


def test_a_redirect_to_a_server_that_is_not_believed_is_not_followed(server: ScriptedServer) -> None:
    with ScriptedServer() as plain:
        plain.pages["/p"] = redirect(server.url("/p"))
        assert "certificate is not valid" in refusal(plain.url("/p"), None)


def test_a_port_that_does_not_speak_tls(authority: Authority) -> None:
    with ScriptedServer() as plain:
        said = refusal(plain.url("/p").replace("http:", "https:"), authority.ca_file)
    assert "cannot connect" in said
