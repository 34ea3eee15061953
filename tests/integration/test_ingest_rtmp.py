"""What an RTMP server sees of us: FFmpeg connects to the address that was checked, and names the host and the app."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from cryptography import x509

from streammon.errors import SourceError
from streammon.ingest.address import AddressPolicy
from streammon.ingest.config import IngestConfig
from streammon.ingest.ffmpeg_source import RtmpSource, _system_authorities, checked_address
from tests.integration.ingesting import LOOPBACK
from tests.integration.test_http_tls import Authority

CONFIG = IngestConfig(open_timeout=2.0, stall_after=2.0, allow_networks=LOOPBACK)
POLICY = AddressPolicy(allow=(*LOOPBACK, ip_network("::1/128")))
_HANDSHAKE_BYTES = 1536
_CHUNK_BYTES = 128


@dataclass(slots=True)
class Greeted:
    """A server on loopback that shakes hands, reads one `connect` command and hangs up."""

    port: int
    said: list[bytes] = field(default_factory=list)

    def field_of(self, name: str) -> str:
        """A string of the command's, in AMF0."""
        key = struct.pack(">H", len(name)) + name.encode()
        _, found, rest = self.said[0].partition(key)
        assert found, f"no {name} in {self.said[0]!r}"
        (length,) = struct.unpack(">xH", rest[:3])
        return rest[3 : 3 + length].decode()


@contextmanager
def greeting(tls: ssl.SSLContext | None = None) -> Iterator[Greeted]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        greeted = Greeted(port=server.getsockname()[1])
        thread = threading.Thread(target=_greet, args=(server, greeted, tls))
        thread.start()
        yield greeted
        thread.join(5.0)
        assert not thread.is_alive()


def _greet(server: socket.socket, greeted: Greeted, tls: ssl.SSLContext | None) -> None:
    server.settimeout(4.0)
    connected, _ = server.accept()
    connected.settimeout(2.0)
    with suppress(OSError), ExitStack() as opened:  # who does not believe us hangs up
        opened.enter_context(connected)
        if tls is not None:
            connected = opened.enter_context(tls.wrap_socket(connected, server_side=True))
        said = _connect_command(cast("BinaryIO", opened.enter_context(connected.makefile("rwb"))))
        greeted.said += [said] if said else []


def _connect_command(stream: BinaryIO) -> bytes:
    version, hello = stream.read(1), stream.read(_HANDSHAKE_BYTES)
    stream.write(version + bytes(_HANDSHAKE_BYTES) + hello)  # a version of zeros makes FFmpeg check no digest
    stream.flush()
    stream.read(_HANDSHAKE_BYTES)
    left = int.from_bytes(stream.read(12)[4:7], "big")
    body = b""
    while left > 0:
        body += stream.read(min(left, _CHUNK_BYTES))
        left -= _CHUNK_BYTES
        if left > 0:
            stream.read(1)  # the header of a chunk that goes on
    return body


@pytest.mark.parametrize(
    ("path", "app"),
    [
        ("/live/room", "live"),
        ("/live", "live"),
        ("/live/", "live"),
        ("/live/room?token=ab", "live"),
        ("/live/room?token=a/b", "live/room?token=a"),
        ("/live/room?until=12:30/b", "live"),
        ("/live/inner/room", "live/inner"),
        ("/live/inner/deep/room", "live/inner"),
        ("/live/mp4:folder/room", "live"),
        ("/ondemand/a/b", "ondemand"),
    ],
)
def test_the_server_is_told_the_name_and_the_app_that_ffmpeg_finds(path: str, app: str) -> None:
    with greeting() as greeted, pytest.raises(SourceError):
        RtmpSource(f"rtmp://localhost:{greeted.port}{path}", CONFIG, POLICY, threading.Event())
    assert greeted.field_of("app") == app
    assert greeted.field_of("tcUrl") == f"rtmp://localhost:{greeted.port}/{app}"


def test_ffmpeg_is_given_the_checked_address_in_place_of_the_name() -> None:
    url, options = checked_address("rtmp://user:pass@localhost/live/room?token=x#part", POLICY)
    assert url in {"rtmp://user:pass@127.0.0.1:1935/live/room?token=x", "rtmp://user:pass@[::1]:1935/live/room?token=x"}
    assert options == {"protocol_whitelist": "rtmp,tcp", "rtmp_tcurl": "rtmp://localhost:1935/live"}


def test_an_address_of_the_sixth_version_stays_in_brackets() -> None:
    url, options = checked_address("rtmp://[::1]:19350/live/room", POLICY)
    assert url == "rtmp://[::1]:19350/live/room"
    assert options["rtmp_tcurl"] == "rtmp://[::1]:19350/live"


def test_rtmps_keeps_the_name_that_its_certificate_is_verified_by() -> None:
    url, options = checked_address("rtmps://localhost/live/room", POLICY)
    assert url == "rtmps://localhost/live/room"
    assert options["tls_verify"] == "1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("known_by", ["configuration", "system"])
def test_a_server_is_believed_by_an_authority_that_is_known(
    authority: Authority, known_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG
    if known_by == "system":
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    else:
        config = CONFIG.model_copy(update={"ca_file": authority.ca_file})
    with greeting(authority.server_context(x509.DNSName("localhost"))) as greeted, pytest.raises(SourceError):
        RtmpSource(f"rtmps://localhost:{greeted.port}/live/room", config, POLICY, threading.Event())
    assert greeted.field_of("app") == "live"


@pytest.mark.parametrize(("name", "known"), [("localhost", False), ("other.test", True)])
def test_a_server_that_is_not_believed_is_told_nothing(authority: Authority, name: str, known: bool) -> None:
    config = CONFIG.model_copy(update={"ca_file": authority.ca_file if known else None})
    with greeting(authority.server_context(x509.DNSName(name))) as greeted, pytest.raises(SourceError):
        RtmpSource(f"rtmps://localhost:{greeted.port}/live/room", config, POLICY, threading.Event())
    assert greeted.said == []


def test_it_is_known_where_the_system_keeps_its_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    found = _system_authorities()
    assert found is not None
    assert "BEGIN CERTIFICATE" in Path(found).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "url", ["rtmp://localhost:99999/a/b", "rtmp://localhost:x/a/b", "rtmp:///a/b", "rtmp://[::1/a"]
)
def test_an_address_that_is_none_is_an_error_of_the_stream(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        checked_address(url, POLICY)
    assert "; " in str(caught.value)
