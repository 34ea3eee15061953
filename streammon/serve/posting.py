"""What is sent to one room by HTTP: `POST /v1/rooms/{room_id}/…`, from whoever may."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streammon.serve.guard import not_json, stranger
from streammon.serve.requests import read_body, refused


def posting(
    what: str, knows: Callable[[str], bool], token: str | None, most_bytes: int, take: Callable[[str, bytes], Response]
) -> Route:
    """A route that asks `take` for the answer to a room and a body, or says why not as `{"error": …}`: 400, 401, 403,
    404, 413, 415.

    With a `token` requests must carry `Authorization: Bearer`; without one, serve it on loopback only.
    """

    async def post(request: Request) -> Response:
        refusal = stranger(request, token) or not_json(request)
        if refusal is not None:
            return refusal
        room_id = request.path_params["room_id"]
        if not knows(room_id):
            return refused(404, "no such room")
        body = await read_body(request, most_bytes)
        return body if isinstance(body, Response) else take(room_id, body)

    # A room's id may hold a slash, which comes as %2F and is decoded before routes are looked at.
    return Route(f"/v1/rooms/{{room_id:path}}/{what}", post, methods=["POST"])
