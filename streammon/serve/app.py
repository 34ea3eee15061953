"""What a monitor serves over HTTP: its metrics, and whether it lives and is ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route


class Health(Protocol):
    """What the monitor says of itself. Each list names what is wrong, and is empty where nothing is."""

    def not_alive(self) -> list[str]:
        """Why the process should be replaced."""

    def not_ready(self) -> list[str]:
        """Why it cannot watch rooms right now."""


def build_app(
    health: Health,
    registry: CollectorRegistry,
    more: Sequence[BaseRoute] = (),
    other_metrics: Callable[[], bytes] = bytes,
) -> Starlette:
    """`/livez` and `/readyz` answer 200 or 503 with the reasons, `/metrics` in the Prometheus text format.

    `more` is served beside them. `other_metrics` gives those of another process, in the same format and of other names.
    """

    def livez(_: Request) -> Response:
        return _answer(health.not_alive())

    def readyz(_: Request) -> Response:
        return _answer(health.not_ready())

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry) + other_metrics(), media_type=CONTENT_TYPE_LATEST)

    health_routes = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*health_routes, *more])


def _answer(reasons: list[str]) -> Response:
    return JSONResponse({"ok": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)
