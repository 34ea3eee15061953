"""Takes feedback by HTTP: `POST /v1/rooms/{room_id}/feedback`."""

from __future__ import annotations

import hmac
import logging
from ipaddress import ip_address
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streammon.errors import StreammonError
from streammon.judge.feedback import Feedback, decode_feedback
from streammon.serve.requests import read_body, refused

_log = logging.getLogger(__name__)

_MAX_BYTES = 64 << 10


class Listener(Protocol):
    """Who is told what people say. Called on the HTTP thread, so nothing may block."""

    def knows(self, room_id: str) -> bool:
        """Whether the room is one of ours."""

    def hear(self, feedback: Feedback) -> bool:
        """Takes it in. False where it cannot now."""

    def refused(self) -> None:
        """Something came that is no valid feedback."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there: 127.0.0.0/8, ::1 or `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def feedback_routes(listener: Listener, host: str, token: str | None) -> list[Route]:
    """What is served where `host` is listened on: nothing where others reach it and there is no token."""
    if token is None and not is_loopback(host):
        _log.info("feedback is not taken by HTTP: %s is no loopback address, and `http.token` is not set", host)
        return []
    return [feedback_route(listener, token)]


def feedback_route(listener: Listener, token: str | None) -> Route:
    """Answers 202, or says why not as `{"error": …}`: 400, 401, 403, 404, 413, 415, 503.

    The body is the JSON of the topic `streammon.feedback` without `room_id`. With a `token` requests must carry
    `Authorization: Bearer`; without one, serve it on loopback only.
    """

    async def feedback(request: Request) -> Response:
        refusal = _stranger(request, token)
        if refusal is not None:
            return refusal
        room_id = request.path_params["room_id"]
        if not listener.knows(room_id):
            return refused(404, "no such room")
        body = await read_body(request, _MAX_BYTES)
        if isinstance(body, Response):
            return body
        try:
            heard = _feedback(room_id, body)
        except StreammonError as error:
            listener.refused()
            return refused(400, str(error))
        return Response(status_code=202) if listener.hear(heard) else refused(503, "busy; try again")

    # A room's id may hold a slash, which comes as %2F and is decoded before routes are looked at.
    return Route("/v1/rooms/{room_id:path}/feedback", feedback, methods=["POST"])


def _stranger(request: Request, token: str | None) -> Response | None:
    """The refusal of who may not speak here.

    Without a token a web page that somebody on this machine has open is the danger: it can send what is not JSON to any
    address, and by DNS rebinding JSON to ours, but then under its own host name.
    """
    if token is not None:
        # Starlette reads headers as Latin-1, so this gives the bytes as they came.
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
            return refused(401, "needs `Authorization: Bearer` with the token", {"www-authenticate": "Bearer"})
    elif not is_loopback(request.url.hostname or ""):
        return refused(403, "should be asked by a loopback address, or `http.token` be set")
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return None if media_type == "application/json" else refused(415, "should be `Content-Type: application/json`")


def _feedback(room_id: str, body: bytes) -> Feedback:
    """Raises StreammonError that says what is wrong."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if "room_id" in fields:
            raise StreammonError("feedback is not valid: the room is named by the path, not by `room_id`")
        whole = {**fields, "room_id": msgspec.Raw(msgspec.json.encode(room_id))}
        return decode_feedback(msgspec.json.encode(whole))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreammonError(f"feedback is not valid: {error}") from error
