"""What the tests of the HTTP client share: clients of one or many hosts, and what an error may say."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event

import pytest

from streammon.errors import SourceError
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.http_client import HttpClient, HttpTimes, tls_context
from streammon.ingest.source import SourceRequest
from tests.integration.scripted_http import Talk

SECRET = "s3cret"  # noqa: S105 - part of URLs that no message may repeat
ONE = (ipaddress.ip_network("127.0.0.1/32"),)
ALL = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@contextmanager
def client(
    home: str = "http://127.0.0.1/",
    *,
    allow: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ONE,
    headers: Mapping[str, str] | None = None,
    wait_s: float = 5.0,
    stop: Event | None = None,
    ca_file: str | None = None,
) -> Iterator[HttpClient]:
    times = HttpTimes(connect_s=wait_s, read_s=wait_s)
    room = SourceRequest(url=home, headers=headers or {})
    policy = AddressPolicy(allow=allow)
    with HttpClient(policy, times, tls_context(ca_file), stop or Event(), room) as made:
        yield made


def body(of: HttpClient, url: str, *, max_bytes: int = 1 << 20, within_s: float = 5.0) -> bytes:
    return of.get(url, max_bytes=max_bytes, within_s=within_s).body


def refused(kind: type[SourceError], call: Callable[[], object]) -> str:
    """What the error says, which holds no part of a URL and names a cure."""
    with pytest.raises(kind) as caught:
        call()
    said = str(caught.value)
    assert type(caught.value) is kind
    assert not [part for part in (SECRET, "127.0.0", "://", "/p", ".test", "\n") if part in said], said
    return said


def flood(talk: Talk) -> None:
    """Sends without an end."""
    talk.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while talk.wait(0.0):
        talk.send(b"\x47" * 65_536)
