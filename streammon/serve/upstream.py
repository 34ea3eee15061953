"""Asks another process of ours by HTTP over a UNIX socket, and passes requests on to it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from pathlib import Path

import httpcore
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streammon.errors import StreammonError
from streammon.serve.requests import read_body, refused

MAX_PASSED_ON_BYTES = 1 << 20
_PASSED_ON_WITHIN_S = 30.0
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# What is between two ends of a connection (RFC 9110, 7.6.1), and what each end writes itself.
_OF_A_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect",
     b"content-length", b"date", b"server"}
)  # fmt: skip
_GONE = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)

Headers = list[tuple[bytes, bytes]]


class Answer(msgspec.Struct, frozen=True):
    """What `/livez` and `/readyz` say."""

    ok: bool
    reasons: list[str]


class Upstream:
    """The server behind a UNIX socket. Any thread; a connection for each request, since the process may change.

    Raises StreammonError where nobody answers within `timeout_s` of silence.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def get(self, target: str, timeout_s: float, statuses: Container[int] = (200,)) -> bytes:
        """The body of an answer with one of these statuses; any other counts as none."""
        try:
            with httpcore.ConnectionPool(uds=self._path) as pool:
                answer = pool.request("GET", f"http://localhost{target}", extensions=_timeouts(timeout_s))
        except _GONE as error:
            raise StreammonError(_reason(error)) from error
        if answer.status not in statuses:
            raise StreammonError(f"it answers {answer.status}")
        return answer.content

    def reasons(self, target: str, timeout_s: float) -> list[str]:
        """What `/livez` or `/readyz` complains of."""
        try:
            return msgspec.json.decode(self.get(target, timeout_s, (200, 503)), type=Answer).reasons
        except msgspec.DecodeError as error:
            raise StreammonError("it answers what is not ours") from error

    async def pass_on(self, request: Request, body: bytes) -> Response:
        """The answer to a request, as it came."""
        headers = [*_end_to_end(request.headers.raw), (b"content-length", b"%d" % len(body))]
        url = httpcore.URL(scheme=b"http", host=b"localhost", port=None, target=_target(request))
        try:
            async with httpcore.AsyncConnectionPool(uds=self._path) as pool:
                answer = await pool.request(
                    request.method, url, headers=headers, content=body, extensions=_timeouts(_PASSED_ON_WITHIN_S)
                )
        except _GONE as error:
            raise StreammonError(_reason(error)) from error
        passed = Response(answer.content, answer.status)
        passed.raw_headers += _end_to_end(answer.headers)
        return passed


def passing_on(path: str, find: Callable[[], Upstream | None]) -> Route:
    """Everything under `path` goes to the process that `find` gives; 503 and why where there is none."""

    async def pass_on(request: Request) -> Response:
        body = await read_body(request, MAX_PASSED_ON_BYTES)
        if isinstance(body, Response):
            return body
        upstream = find()
        if upstream is None:
            return refused(503, "the engine does not run; try again")
        try:
            return await upstream.pass_on(request, body)
        except StreammonError as error:
            return refused(503, f"the engine does not answer ({error}); try again")

    return Route(f"{path}/{{rest:path}}", pass_on, methods=_METHODS)


def _target(request: Request) -> bytes:
    """Path and query as they came: a room's id may hold a slash, which comes as %2F."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in _OF_A_HOP]


def _timeouts(seconds: float) -> dict[str, dict[str, float]]:
    return {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)}


def _reason(error: Exception) -> str:
    return "it is silent" if isinstance(error, httpcore.TimeoutException) else "nobody listens"
