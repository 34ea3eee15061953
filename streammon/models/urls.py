"""Fetches files from pinned https addresses: what broke off is continued, and nothing is handed on unverified.

Proxies and authorities are the environment's (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE). Runs on the caller's thread.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import certifi
import httpx

from streammon.backoff import Backoff
from streammon.errors import ModelCorrupt, ModelSourceUnavailable
from streammon.models.catalog import SourceFile, UrlSource
from streammon.models.partial import PartialFile

_MAX_REDIRECTS = 5
_BACKOFF = Backoff(first_s=0.5, cap_s=10.0)
# Answers that another try may better; all other refusals are final.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlTimes:
    """How long a fetch may take. `whole_s` is for one file, all its tries together."""

    connect_s: float = 20.0
    read_s: float = 30.0
    whole_s: float = 3600.0
    tries: int = 5
    backoff: Backoff = _BACKOFF
    sleep: Callable[[float], None] = time.sleep


class _BrokeOff(Exception):
    """One try failed in a way that another one may not. Says why."""


def fetch(source: UrlSource, partials: Path, into: Path, times: UrlTimes | None = None) -> Mapping[str, Path]:
    """Fetch the source's files into the new folder `into`, and return their places by path below the address.

    What has come of a file that breaks off stays in `partials`, and is continued by the next fetch.
    Raises ModelSourceUnavailable where a file cannot be had, ModelCorrupt where it is not what the catalogue says.
    """
    into.mkdir()
    partials.mkdir(exist_ok=True)
    targets = {file.path: into / str(number) for number, file in enumerate(source.files)}
    times = times if times is not None else UrlTimes()
    with _client(times, source.name) as client:
        for file in source.files:
            with closing(PartialFile(partials, file)) as partial:
                _Transfer(client, source.url(file), file, partial, times).run()
                partial.move_to(targets[file.path])
    return targets


@contextmanager
def _client(times: UrlTimes, url: str) -> Iterator[httpx.Client]:
    timeout = httpx.Timeout(times.read_s, connect=times.connect_s)
    try:
        client = httpx.Client(verify=_authorities(), timeout=timeout)
    except (ValueError, OSError) as err:  # of the environment's proxies and authorities
        raise ModelSourceUnavailable(f"could not fetch {url}: {err}; correct HTTPS_PROXY or SSL_CERT_FILE") from err
    with client:
        yield client


def _authorities() -> ssl.SSLContext:
    """The system's, or those of SSL_CERT_FILE; on a system that has none, those that certifi carries."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not paths.cafile and not paths.capath:
        context.load_verify_locations(certifi.where())
    return context


class _Transfer:
    """One file's way, in as many tries as it takes."""

    def __init__(self, client: httpx.Client, url: str, file: SourceFile, partial: PartialFile, times: UrlTimes) -> None:
        self._client = client
        self._url = url
        self._file = file
        self._partial = partial
        self._times = times
        self._until_s = time.monotonic() + times.whole_s

    def run(self) -> None:
        """Returns once the partial file is whole and verified. Raises as `fetch`."""
        for failures in range(1, self._times.tries + 1):
            try:
                return self._try()
            except httpx.TransportError as err:
                reason = self._told(err)
            except _BrokeOff as err:
                reason = str(err)
            if failures < self._times.tries:
                self._times.sleep(self._times.backoff.delay_s(failures))
        raise self._unavailable(f"{reason}, {self._times.tries} times")

    def _try(self) -> None:
        continued = self._partial.size_bytes > 0
        if self._partial.size_bytes < self._file.size_bytes:
            continued = self._receive()
        if (got := self._partial.sha256()) == self._file.sha256:
            return
        self._partial.restart()
        if continued:  # of two files, perhaps
            raise _BrokeOff("what came before is of another file")
        raise self._other(f"sha256 of {self._url} is {got}, the catalogue says {self._file.sha256}")

    def _receive(self) -> bool:
        """Whether what came continues what was there before."""
        with closing(self._answer(self._partial.wanted_headers())) as answer:
            self._check_status(answer)
            continued = answer.status_code == HTTPStatus.PARTIAL_CONTENT
            if continued and not answer.headers.get("Content-Range", "").startswith(
                f"bytes {self._partial.size_bytes}-"
            ):
                self._partial.restart()
                raise _BrokeOff("it sends another part than the one asked for")
            if not continued:
                self._partial.restart(answer.headers.get("ETag"))
                self._check_length(answer)
            self._write(answer)
        return continued

    def _answer(self, headers: Mapping[str, str]) -> httpx.Response:
        """The answer behind all redirects, its body not read yet."""
        url = httpx.URL(self._url)
        for _ in range(_MAX_REDIRECTS + 1):
            request = self._client.build_request("GET", url, headers={"Accept-Encoding": "identity", **headers})
            answer = self._client.send(request, stream=True)
            if not answer.has_redirect_location:
                return answer
            answer.close()
            try:
                url = url.join(answer.headers["Location"])
            except httpx.InvalidURL as err:
                raise self._unavailable("it redirects to what is no address") from err
            if url.scheme != "https":
                raise self._unavailable(f"it redirects to {url.scheme}, and only https is followed")
        raise self._unavailable(f"it redirects more than {_MAX_REDIRECTS} times")

    def _check_status(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._partial.restart()
            raise _BrokeOff("it has no more than came before")
        if status in _PASSING or answer.is_server_error:
            raise _BrokeOff(f"it answers {status}")
        raise self._unavailable(f"it answers {status} {answer.reason_phrase}")

    def _check_length(self, answer: httpx.Response) -> None:
        told = answer.headers.get("Content-Length", "")
        if told.isdecimal() and int(told) != self._file.size_bytes:
            raise self._other(f"{self._url} has {told} bytes, the catalogue says {self._file.size_bytes}")

    def _write(self, answer: httpx.Response) -> None:
        for chunk in answer.iter_raw():
            if self._partial.size_bytes + len(chunk) > self._file.size_bytes:
                self._partial.restart()
                raise self._other(f"{self._url} has more than the {self._file.size_bytes} bytes of the catalogue")
            self._partial.append(chunk)
            if time.monotonic() > self._until_s:
                raise self._unavailable(f"no end after {self._times.whole_s:.0f} s")
        if self._partial.size_bytes < self._file.size_bytes:
            raise _BrokeOff(f"it ends after {self._partial.size_bytes} of {self._file.size_bytes} bytes")

    def _told(self, err: httpx.TransportError) -> str:
        """Why a connection failed. Raises ModelSourceUnavailable where another try would end alike."""
        if isinstance(err, httpx.TimeoutException):
            return "no answer in time"
        if _caused_by(err, ssl.SSLCertVerificationError):
            cure = "SSL_CERT_FILE may name a file with your own authority"
            raise self._unavailable(f"the server's certificate is not valid ({err}): {cure}") from err
        if isinstance(err, httpx.ProxyError):
            return f"the proxy refuses ({err})"
        return f"cannot connect ({err})" if isinstance(err, httpx.ConnectError) else f"broke off ({err})"

    @staticmethod
    def _other(reason: str) -> ModelCorrupt:
        return ModelCorrupt(f"{reason}: the address or the catalogue is wrong, and nothing of it is kept")

    def _unavailable(self, reason: str) -> ModelSourceUnavailable:
        return ModelSourceUnavailable(f"could not fetch {self._url}: {reason}")


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error is not None
