"""What an RTMP server sees of us: FFmpeg connects to the address that was checked, and names the host and the app."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from cryptography import x509

from streammon.errors import SourceError, SourceStopped, SourceUnreachable
from streammon.ingest.config import IngestConfig
from streammon.ingest.media.demux import open_container
from streammon.ingest.media.ffmpeg_source import RtmpSource
from streammon.ingest.media.rtmp_url import checked_address
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.authorities import authorities_file
from streammon.ingest.net.resolver import Resolver, look_up
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
    url, options = checked_address("rtmp://user:pass@localhost/live/room?token=x#part", POLICY, look_up)
    assert url in {"rtmp://user:pass@127.0.0.1:1935/live/room?token=x", "rtmp://user:pass@[::1]:1935/live/room?token=x"}
    assert options == {"protocol_whitelist": "rtmp,tcp", "rtmp_tcurl": "rtmp://localhost:1935/live"}


def test_an_address_of_the_sixth_version_stays_in_brackets() -> None:
    url, options = checked_address("rtmp://[::1]:19350/live/room", POLICY, look_up)
    assert url == "rtmp://[::1]:19350/live/room"
    assert options["rtmp_tcurl"] == "rtmp://[::1]:19350/live"


def test_rtmps_keeps_the_name_that_its_certificate_is_verified_by() -> None:
    url, options = checked_address("rtmps://localhost/live/room", POLICY, look_up)
    assert url == "rtmps://localhost/live/room"
    assert options["tls_verify"] == "1"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    """An authority that did not give the server its certificate."""
    (tmp_path / "other").mkdir()
    return Authority(tmp_path / "other")


@pytest.mark.parametrize("known_by", ["configuration", "system", "system beside the configuration"])
def test_a_server_is_believed_by_an_authority_that_is_known(
    authority: Authority, other: Authority, known_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"configuration": other, "system": authority, "system beside the configuration": authority}[known_by]
    configured = {"configuration": authority.ca_file, "system": None}.get(known_by, other.ca_file)
    monkeypatch.setenv("SSL_CERT_FILE", str(known.ca_file))
    authorities_file.cache_clear()  # the system's do not change under a process otherwise
    config = CONFIG.model_copy(update={"ca_file": configured})
    with greeting(authority.server_context(x509.DNSName("localhost"))) as greeted, pytest.raises(SourceError):
        RtmpSource(f"rtmps://localhost:{greeted.port}/live/room", config, POLICY, threading.Event())
    assert greeted.field_of("app") == "live"


def test_a_file_of_authorities_that_has_gone_is_an_error_of_the_stream(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"ca_file": tmp_path / "gone.pem"})
    with pytest.raises(SourceUnreachable, match=r"`ingest.ca_file` cannot be read: No such file") as caught:
        RtmpSource("rtmps://127.0.0.1:9/live/room", config, POLICY, threading.Event())
    assert "gone" not in str(caught.value)


def test_a_server_is_told_the_name_by_which_it_chooses_its_certificate(authority: Authority) -> None:
    context = authority.server_context(x509.DNSName("localhost"))
    told: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: told.append(name)
    config = CONFIG.model_copy(update={"ca_file": authority.ca_file})
    with greeting(context) as greeted, pytest.raises(SourceError):
        RtmpSource(f"rtmps://localhost:{greeted.port}/live/room", config, POLICY, threading.Event())
    assert told == ["localhost"]


@pytest.mark.parametrize(("name", "known"), [("localhost", False), ("other.test", True)])
def test_a_server_that_is_not_believed_is_told_nothing(authority: Authority, name: str, known: bool) -> None:
    config = CONFIG.model_copy(update={"ca_file": authority.ca_file if known else None})
    with greeting(authority.server_context(x509.DNSName(name))) as greeted, pytest.raises(SourceError):
        RtmpSource(f"rtmps://localhost:{greeted.port}/live/room", config, POLICY, threading.Event())
    assert greeted.said == []


@pytest.mark.parametrize(
    "url", ["rtmp://localhost:99999/a/b", "rtmp://localhost:x/a/b", "rtmp:///a/b", "rtmp://[::1/a"]
)
def test_an_address_that_is_none_is_an_error_of_the_stream(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        RtmpSource(url, CONFIG, POLICY, threading.Event())
    assert "; " in str(caught.value)


@contextmanager
def speaking(said: bytes, after_s: float) -> Iterator[int]:
    """A port where so much is said after so long, and nothing more."""
    over = threading.Event()

    def speak() -> None:
        connected, _ = server.accept()
        with connected:
            over.wait(after_s)
            connected.sendall(said)
            over.wait(10.0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(4.0)
        thread = threading.Thread(target=speak)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join(5.0)
        assert not thread.is_alive()


def test_connecting_and_finding_out_what_it_is_share_one_time() -> None:
    flv_of_video = b"FLV\x01\x01\0\0\0\x09\0\0\0\0"
    began_s = time.monotonic()
    with speaking(flv_of_video, 0.6) as port:
        url, options = f"tcp://127.0.0.1:{port}", {"protocol_whitelist": "tcp"}
        with suppress(SourceUnreachable):
            open_container(url, options=options, timeout=(1.0, 5.0), container="flv").close()
    assert 0.9 < time.monotonic() - began_s < 1.35


def test_a_name_that_is_found_late_leaves_less_time_to_connect() -> None:
    def late(host: str) -> list[str]:
        time.sleep(0.6)
        return look_up(host)

    config = CONFIG.model_copy(update={"open_timeout": 1.0})
    began_s = time.monotonic()
    with speaking(b"", 0.0) as port, pytest.raises(SourceUnreachable, match="nothing came within"):
        RtmpSource(f"rtmp://localhost:{port}/live/room", config, POLICY, threading.Event(), Resolver(late))
    assert 0.9 < time.monotonic() - began_s < 1.35


@pytest.mark.parametrize(("stopped", "kind"), [(True, SourceStopped), (False, SourceUnreachable)])
def test_a_name_that_is_never_found_holds_nobody(stopped: bool, kind: type[SourceError]) -> None:
    stop, over = threading.Event(), threading.Event()

    def never(_host: str) -> list[str]:
        over.wait(10.0)
        return []

    if stopped:
        stop.set()
    config = CONFIG.model_copy(update={"open_timeout": 0.4})
    began_s = time.monotonic()
    with pytest.raises(kind) as caught:
        RtmpSource("rtmp://secret.test/live/room", config, POLICY, stop, Resolver(never))
    assert time.monotonic() - began_s < 0.75
    assert "secret" not in str(caught.value)
    over.set()
