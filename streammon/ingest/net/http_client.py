"""The HTTP client that pulls playlists, segments, keys and FLV. One per connection of a room, used by its thread.

Every hop of every request passes the address policy, TLS is verified, and redirects, sizes and times are bounded.
A room's headers go to the origin of the room's URL; to others only those go that hold no secret.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from threading import Event
from typing import Self
from urllib.parse import urljoin

import httpcore

from streammon import __version__
from streammon.errors import SourceDenied, SourceEnded, SourceError, SourceStalled, SourceTooLarge, SourceUnreachable
from streammon.ingest.net.address import AddressPolicy
from streammon.ingest.net.http_url import basic_authorization, host_header, origin, sendable
from streammon.ingest.net.network import GuardedBackend
from streammon.ingest.net.patience import Patience
from streammon.ingest.source import ByteRange, SourceRequest

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Headers of the room's that every server may see; any other may be a credential.
_HARMLESS = frozenset({"accept", "accept-language", "origin", "referer", "user-agent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A whole answer. `url` is where it came from after redirects; `received_at` is when its last byte came,
    UTC, `received_s` the same on the monotonic clock."""

    url: str
    body: bytes
    received_at: datetime
    received_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTimes:
    """Longest waits in seconds: for a connection, and for any one byte after it."""

    connect_s: float
    read_s: float


class Body:
    """An answer that is being read. `url` is where it comes from after redirects; `partial`: it is the range only."""

    def __init__(self, url: str, response: httpcore.Response) -> None:
        self.url = url
        self.partial = response.status == 206
        self._chunks = iter(response.iter_stream())
        self._left = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at the end. Raises SourceError where the connection breaks or stalls."""
        while not self._left:
            with _translated():
                chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._left = chunk
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end, which `read` will give again."""
        content = b""
        while len(content) < size and (chunk := self.read(size - len(content))):
            content += chunk
        self._left = content + self._left
        return content

    def read_all(self, max_bytes: int) -> bytes:
        """The rest of it. Raises SourceTooLarge over `max_bytes`; see `HttpClient.within` for the time it may take."""
        content = bytearray()
        while chunk := self.read(1 << 16):
            content += chunk
            if len(content) > max_bytes:
                raise SourceTooLarge(f"an answer is larger than the {max_bytes >> 10} KiB that it may be")
        return bytes(content)


class HttpClient:
    """Fetches over connections that it keeps. Errors are SourceErrors whose messages hold no part of a URL.

    `room` says whose headers and credentials are sent, and where it is at home.
    """

    def __init__(
        self, policy: AddressPolicy, times: HttpTimes, tls: ssl.SSLContext, stop: Event, room: SourceRequest
    ) -> None:
        self._policy = policy
        self._times = times
        self._room = room
        self._patience = Patience(stop)
        backend = GuardedBackend(policy, self._patience)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, max_connections=4, keepalive_expiry=30.0, network_backend=backend
        )

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """All that is fetched in here comes within so many seconds, however steadily; SourceStalled where not."""
        return self._patience.within(seconds)

    def get(self, url: str, *, max_bytes: int, within_s: float, part: ByteRange | None = None) -> Fetched:
        """A resource, or a part of it. Raises SourceTooLarge over `max_bytes`, SourceStalled after `within_s`."""
        with self.within(within_s):
            try:
                return self._get(url, max_bytes, part)
            except SourceEnded:
                # A server may close a kept connection in the moment in which it is used again.
                return self._get(url, max_bytes, part)

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Body]:
        """An answer to be read piece by piece, redirects followed."""
        for _ in range(_MAX_REDIRECTS + 1):
            with self._request(url, headers or {}) as response:
                if response.status not in _REDIRECTS:
                    _check_status(response.status)
                    yield Body(url, response)
                    return
                url = _target(url, response)
        raise SourceUnreachable(f"the server redirects more than {_MAX_REDIRECTS} times; check the address")

    def close(self) -> None:
        """Closes its connections. May be called twice."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, url: str, max_bytes: int, part: ByteRange | None) -> Fetched:
        headers = {} if part is None else {"Range": f"bytes={part.offset}-{part.offset + part.length - 1}"}
        with self.stream(url, headers) as body:
            content = body.read_all(max_bytes)
            now_s, now = time.monotonic(), datetime.now(UTC)
            if part is not None:
                start = 0 if body.partial else part.offset
                content = content[start : start + part.length]
            return Fetched(url=body.url, body=content, received_at=now, received_s=now_s)

    @contextmanager
    def _request(self, url: str, headers: Mapping[str, str]) -> Iterator[httpcore.Response]:
        times = {"connect": self._times.connect_s, "read": self._times.read_s, "write": self._times.read_s, "pool": 1.0}
        with _translated():
            self._policy.check_scheme(url)
            request = self._pool.stream(
                "GET", sendable(url), headers=self._headers(url, headers), extensions={"timeout": times}
            )
            response = request.__enter__()
        try:
            yield response
        finally:
            request.__exit__(None, None, None)

    def _headers(self, url: str, asked: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """Everything but what only the room's own server may see, where this is another."""
        at_home = origin(url) == origin(self._room.url)
        mine = {name.lower(): value for name, value in self._room.headers.items()}
        sent = {
            "host": host_header(url),
            "user-agent": f"streammon/{__version__}",
            **basic_authorization(url),
            **{name: value for name, value in mine.items() if at_home or name in _HARMLESS},
            # A body that is compressed could grow without bound.
            "accept-encoding": "identity",
            **{name.lower(): value for name, value in asked.items()},
        }
        return [(name.title().encode(), value.encode()) for name, value in sent.items()]


@cache  # it takes 20 ms and 0.8 MB to make one
def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies servers by the system's authorities, and by those in a PEM file where one is given.

    Made once per process and file, and shared by all threads. Raises SourceUnreachable where the file has gone bad.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise SourceUnreachable("`ingest.ca_file` cannot be read as PEM any more; check it") from error
    return context


@contextmanager
def _translated() -> Iterator[None]:
    """httpcore's errors as ours. What the guarded backend raises is ours already."""
    try:
        yield
    except SourceError:
        raise
    except httpcore.ConnectTimeout as error:
        raise SourceUnreachable("the server does not accept the connection; check host, port and network") from error
    except httpcore.TimeoutException as error:
        raise SourceStalled("connected, but nothing came any more, or too slowly; it is tried again") from error
    except httpcore.ConnectError as error:
        raise SourceUnreachable(f"cannot connect: {_why(error)}; check host, port and network") from error
    except (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError, ValueError) as error:
        raise SourceUnreachable("the URL or a header is not one that can be sent; check them") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise SourceEnded("the connection broke; it is tried again") from error


def _why(error: Exception) -> str:
    """Why a connection failed: certificate errors say what is wrong with it, others what the system says."""
    cause = error.args[0] if error.args else None  # not `__cause__`: httpcore raises it again `from None`
    if isinstance(cause, ssl.SSLCertVerificationError):
        what, _, _ = cause.verify_message.partition(",")  # after it comes the host's name
        return f"the server's certificate is not valid ({what})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return "the connection failed"


def _check_status(status: int) -> None:
    if status in {200, 206}:
        return
    if status in {401, 403}:
        raise SourceDenied(f"the server answered {status}; check the credentials or the token in the address")
    raise SourceUnreachable(f"the server answered {status}; check the path and that it is live")


def _target(url: str, response: httpcore.Response) -> str:
    """Where a redirect leads."""
    location = next((value for name, value in response.headers if name.lower() == b"location"), b"")
    with _translated():
        return urljoin(url, bytes(location).decode("utf-8"))
