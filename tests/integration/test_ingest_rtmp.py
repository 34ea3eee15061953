"""What an RTMP server sees of us: FFmpeg connects to the address that was checked, and names the host and the app."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

import pytest

from streammon.errors import SourceError
from streammon.ingest.address import AddressPolicy
from streammon.ingest.config import IngestConfig
from streammon.ingest.ffmpeg_source import RtmpSource, checked_address
from tests.integration.ingesting import LOOPBACK

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
def greeting() -> Iterator[Greeted]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        greeted = Greeted(port=server.getsockname()[1])
        thread = threading.Thread(target=_greet, args=(server, greeted))
        thread.start()
        yield greeted
        thread.join(5.0)
        assert not thread.is_alive()


def _greet(server: socket.socket, greeted: Greeted) -> None:
    server.settimeout(4.0)
    connected, _ = server.accept()
    connected.settimeout(2.0)
    with connected, connected.makefile("rwb") as stream:
        version, hello = stream.read(1), stream.read(_HANDSHAKE_BYTES)
        stream.write(version + bytes(_HANDSHAKE_BYTES) + hello)  # a version of zeros makes FFmpeg check no digest
        stream.flush()
        stream.read(_HANDSHAKE_BYTES)
        header = stream.read(12)
        left = int.from_bytes(header[4:7], "big")
        body = b""
        while left > 0:
            body += stream.read(min(left, _CHUNK_BYTES))
            left -= _CHUNK_BYTES
            if left > 0:
                stream.read(1)  # the header of a chunk that goes on
        greeted.said.append(body)


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


@pytest.mark.parametrize(
    "url", ["rtmp://localhost:99999/a/b", "rtmp://localhost:x/a/b", "rtmp:///a/b", "rtmp://[::1/a"]
)
def test_an_address_that_is_none_is_an_error_of_the_stream(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        checked_address(url, POLICY)
    assert "; " in str(caught.value)
