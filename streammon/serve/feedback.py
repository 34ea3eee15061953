"""Takes feedback by HTTP: `POST /v1/rooms/{room_id}/feedback`."""

from __future__ import annotations

from typing import Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from streammon.errors import StreammonError
from streammon.judge.feedback import Feedback, decode_feedback
from streammon.serve.posting import posting
from streammon.serve.requests import refused

_MAX_BYTES = 64 << 10


class Listener(Protocol):
    """Who is told what people say. Called on the HTTP thread, so nothing may block."""

    def knows(self, room_id: str) -> bool:
        """Whether the room is one of ours."""

    def hear(self, feedback: Feedback) -> bool:
        """Takes it in. False where it cannot now."""

    def refused(self) -> None:
        """Something came that is no valid feedback."""


def feedback_route(listener: Listener, token: str | None) -> Route:
    """Answers 202, or says why not as `{"error": …}`: 503, or see `posting`.

    The body is the JSON of the topic `streammon.feedback` without `room_id`.
    """

    def take(room_id: str, body: bytes) -> Response:
        try:
            heard = _feedback(room_id, body)
        except StreammonError as error:
            listener.refused()
            return refused(400, str(error))
        return Response(status_code=202) if listener.hear(heard) else refused(503, "busy; try again")

    return posting("feedback", listener.knows, token, _MAX_BYTES, take)


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
