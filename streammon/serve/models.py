"""New versions of models by HTTP, under `/v1/models`: put on trial, compared, switched to, rolled back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streammon.detect.shadow.report import DetectorModels, ShadowAsked
from streammon.errors import DetectorUnknown, ModelMissing, ModelUpdateRefused, StreammonError
from streammon.serve.guard import not_json, stranger
from streammon.serve.requests import read_body, refused

_MAX_BYTES = 64 << 10
_STATUSES = ((DetectorUnknown, 404), (ModelMissing, 404), (ModelUpdateRefused, 409))

Answering = Callable[[Request], Awaitable[Response]]


class ModelKeeper(Protocol):
    """Who updates the models. Called on any thread, several at once; each may take seconds.

    All raise DetectorUnknown, ModelMissing, ModelUpdateRefused where it cannot be done now, or another StreammonError
    for what is asked wrongly.
    """

    def report(self) -> Sequence[DetectorModels]: ...

    def shadow(self, name: str, asked: ShadowAsked) -> None: ...

    def unshadow(self, name: str) -> None: ...

    def switch(self, name: str) -> None: ...

    def rollback(self, name: str) -> None: ...


def model_routes(keeper: ModelKeeper, token: str | None) -> list[Route]:
    """`GET` answers 200 with the report, `PUT …/shadow` 202, since the model has to be opened, and the others 204.

    Or they say why not as `{"error": …}`: 400, 401, 403, 404, 409, 413, 415.
    """

    async def report(request: Request) -> Response:
        refusal = stranger(request, token)
        if refusal is not None:
            return refusal
        told = await run_in_threadpool(keeper.report)
        return Response(msgspec.json.encode(told), media_type="application/json")

    async def shadow(request: Request) -> Response:
        refusal = stranger(request, token) or not_json(request)
        if refusal is not None:
            return refusal
        body = await read_body(request, _MAX_BYTES)
        if isinstance(body, Response):
            return body
        try:
            asked = msgspec.json.decode(body, type=ShadowAsked)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return refused(400, f"what is asked is not valid: {error}")
        return await _done(202, lambda: keeper.shadow(_detector(request), asked))

    def doing(act: Callable[[str], None]) -> Answering:
        async def do(request: Request) -> Response:
            refusal = stranger(request, token) or not_json(request)
            return refusal if refusal is not None else await _done(204, lambda: act(_detector(request)))

        return do

    of_one = "/v1/models/{detector}"
    return [
        Route("/v1/models", report, methods=["GET"]),
        Route(f"{of_one}/shadow", shadow, methods=["PUT"]),
        Route(f"{of_one}/shadow", doing(keeper.unshadow), methods=["DELETE"]),
        Route(f"{of_one}/switch", doing(keeper.switch), methods=["POST"]),
        Route(f"{of_one}/rollback", doing(keeper.rollback), methods=["POST"]),
    ]


def _detector(request: Request) -> str:
    return str(request.path_params["detector"])


async def _done(status: int, act: Callable[[], None]) -> Response:
    try:
        await run_in_threadpool(act)
    except StreammonError as error:
        return refused(next((code for kind, code in _STATUSES if isinstance(error, kind)), 400), str(error))
    return Response(status_code=status)
