"""What is asked of another process over a UNIX socket, and what is passed on to it and back as it came."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streammon.errors import StreammonError
from streammon.serve.app import build_app
from streammon.serve.server import HttpServer, listen_unix
from streammon.serve.upstream import MAX_PASSED_ON_BYTES, Upstream, passing_on
from tests.unit.test_serve import State


async def _echo(request: Request) -> Response:
    """Says what came."""
    said = {
        "method": request.method,
        "path": request.scope["raw_path"].decode(),
        "query": request.url.query,
        "host": request.headers["host"],
        "authorization": request.headers.get("authorization"),
        "connection": request.headers.get("connection"),
        "body": (await request.body()).decode(),
    }
    return JSONResponse(said, 418, headers={"www-authenticate": "Bearer", "connection": "close"})


def _broken(_: Request) -> Response:
    return Response(b"no", 500)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "e.sock"


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def upstream(path: Path, state: State) -> Iterator[Upstream]:
    methods = ["GET", "POST", "DELETE"]
    more = [Route("/v1/{rest:path}", _echo, methods=methods), Route("/broken", _broken)]
    server = HttpServer(build_app(state, CollectorRegistry(), more), listen_unix(path))
    server.start()
    yield Upstream(path)
    server.close()


def passed(upstream: Upstream | None, method: str, target: str, **given: object) -> httpx.Response:
    """What the supervisor answers whose engine is `upstream`."""
    app = Starlette(routes=[passing_on("/v1", lambda: upstream)])

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor.example:9464") as client:
            return await client.request(method, target, **given)  # type: ignore[arg-type]

    return asyncio.run(ask())


def test_the_socket_is_its_owners_alone(upstream: Upstream, path: Path) -> None:
    mode = path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_path_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(StreammonError, match=r"cannot listen on .*too long"):
        listen_unix(tmp_path / ("x" * 200))
    listen_unix(tmp_path / "a.sock").close()
    with pytest.raises(StreammonError, match="in use"):
        listen_unix(tmp_path / "a.sock")


def test_what_is_well_has_no_reasons(upstream: Upstream) -> None:
    assert upstream.reasons("/livez", 5.0) == []


def test_the_reasons_of_what_is_not_are_told(upstream: Upstream, state: State) -> None:
    state.busy = ["warming up"]
    assert upstream.reasons("/readyz", 5.0) == ["warming up"]


def test_another_status_is_no_answer(upstream: Upstream) -> None:
    with pytest.raises(StreammonError, match="it answers 500"):
        upstream.get("/broken", 5.0)


def test_what_is_not_ours_is_no_answer(upstream: Upstream) -> None:
    with pytest.raises(StreammonError, match="not ours"):
        upstream.reasons("/metrics", 5.0)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # httpcore leaves it to the collector, at once
def test_nobody_there_is_told(path: Path) -> None:
    with pytest.raises(StreammonError, match="nobody listens"):
        Upstream(path).get("/livez", 5.0)


def test_one_that_is_silent_is_told_in_time(path: Path) -> None:
    with listen_unix(path), pytest.raises(StreammonError, match="it is silent"):
        Upstream(path).get("/livez", 0.05)


def test_a_request_goes_on_as_it_came(upstream: Upstream) -> None:
    answer = passed(
        upstream, "POST", "/v1/rooms/a%2Fb%20%E7%9B%B4/feedback?x=1&y=%20", content=b"body",
        headers={"authorization": "Bearer t", "connection": "keep-alive"},
    )  # fmt: skip
    assert answer.json() == {
        "method": "POST",
        "path": "/v1/rooms/a%2Fb%20%E7%9B%B4/feedback",
        "query": "x=1&y=%20",
        "host": "monitor.example:9464",
        "authorization": "Bearer t",
        "connection": None,
        "body": "body",
    }


def test_the_answer_comes_back_as_it_is(upstream: Upstream) -> None:
    answer = passed(upstream, "DELETE", "/v1/x")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (418, "Bearer")
    assert answer.headers["content-type"] == "application/json"
    assert "connection" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_too_much_is_refused_before_it_is_passed_on(upstream: Upstream) -> None:
    assert passed(upstream, "POST", "/v1/x", content=bytes(MAX_PASSED_ON_BYTES)).status_code == 418
    assert passed(upstream, "POST", "/v1/x", content=bytes(MAX_PASSED_ON_BYTES + 1)).status_code == 413


def test_where_no_engine_runs_that_is_told() -> None:
    answer = passed(None, "GET", "/v1/x")
    assert (answer.status_code, answer.json()) == (503, {"error": "the engine does not run; try again"})


def test_an_engine_that_is_gone_is_told(path: Path) -> None:
    answer = passed(Upstream(path), "GET", "/v1/x")
    assert (answer.status_code, answer.json()["error"]) == (
        503, "the engine does not answer (nobody listens); try again"
    )  # fmt: skip


def test_an_engine_that_breaks_off_is_told(path: Path) -> None:
    with listen_unix(path) as listening:
        listening.settimeout(5.0)

        async def ask() -> httpx.Response:
            breaking = asyncio.to_thread(_break_off, listening)
            app = Starlette(routes=[passing_on("/v1", lambda: Upstream(path))])
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://monitor") as client:
                answer, _ = await asyncio.gather(client.get("/v1/x"), breaking)
            return answer

        assert asyncio.run(ask()).status_code == 503


def _break_off(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(1)


def test_only_what_is_under_the_path_is_passed_on(upstream: Upstream) -> None:
    assert passed(upstream, "GET", "/v2/x").status_code == 404
